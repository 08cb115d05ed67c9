//! Several requests on their way at once: which of them has its answer?

use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::Pending;
use crate::env::Clock;

/// See [`Transport::await_any`](super::Transport::await_any).
pub(super) fn await_any(pending: &mut [Pending], at_most: Option<Duration>, clock: &dyn Clock, found: &mut Vec<usize>) {
    found.clear();
    // An endpoint close by answers while others have their turn: then nobody need sleep and be woken.
    thread::yield_now();
    if pending.len() == 1 && at_most.is_none() {
        return found.push(0);
    }
    while found.is_empty() {
        let now = clock.monotonic();
        let mut longest = at_most.unwrap_or(Duration::MAX);
        let mut fds = Vec::with_capacity(pending.len());
        for (at, one) in pending.iter().enumerate() {
            match one.posted.awaited(now) {
                Some((socket, left)) => {
                    fds.push(PollFd::new(socket, PollFlags::IN));
                    longest = longest.min(left);
                }
                None => found.push(at),
            }
        }
        if !found.is_empty() {
            return;
        }
        match poll(&mut fds, Some(&in_milliseconds(longest))) {
            Ok(0) if at_most == Some(longest) => return,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // Whatever is wrong, reading tells what.
            Err(_) => found.extend(0..fds.len()),
            Ok(_) => {
                let readable: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
                let answers = |at: &usize| readable[*at] && pending[*at].posted.is_answering();
                found.extend((0..readable.len()).filter(answers));
            }
        }
    }
}

/// Rounded up, so that nobody looks a moment too early and again and again.
fn in_milliseconds(wait: Duration) -> Timespec {
    let wait = wait.min(Duration::from_secs(3600)) + Duration::from_micros(999);
    Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: i64::from(wait.subsec_millis()) * 1_000_000 }
}
