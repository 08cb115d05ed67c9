//! Several requests on their way at once: which of them has its answer?

use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::Pending;
use super::target::Posted;
use crate::env::Clock;

/// See [`Transport::await_any`](super::Transport::await_any).
pub(super) fn await_any(pending: &mut [Pending], at_most: Option<Duration>, clock: &dyn Clock, found: &mut Vec<usize>) {
    found.clear();
    // An endpoint close by answers while others have their turn: then nobody need sleep and be woken.
    thread::yield_now();
    if pending.len() == 1 && at_most.is_none() {
        return found.push(0);
    }
    let holds = |posted: &mut Result<Posted, _>| posted.as_mut().is_ok_and(Posted::holds_answer);
    found.extend(pending.iter_mut().enumerate().filter_map(|(at, one)| holds(&mut one.posted).then_some(at)));
    while found.is_empty() {
        let now = clock.monotonic();
        let mut longest = at_most.unwrap_or(Duration::MAX);
        let mut fds = Vec::with_capacity(pending.len());
        for (at, one) in pending.iter().enumerate() {
            match one.posted.as_ref().ok().and_then(|posted| posted.pending(now)) {
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
            Ok(0) if at_most.is_some_and(|at_most| at_most <= longest) => return,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // Whatever is wrong, reading tells what.
            Err(_) => found.extend(0..fds.len()),
            Ok(_) => found.extend((0..fds.len()).filter(|at| !fds[*at].revents().is_empty())),
        }
    }
}

/// Rounded up, so that nobody looks a moment too early and again and again.
fn in_milliseconds(wait: Duration) -> Timespec {
    let wait = wait.min(Duration::from_secs(3600)) + Duration::from_micros(999);
    Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: i64::from(wait.subsec_millis()) * 1_000_000 }
}
