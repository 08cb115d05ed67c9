//! What the transmission in hand on this thread has done so far: phase, deadlines, request bytes, remote address.
//!
//! Sockets and connections write their evidence here, also while ureq, which knows nothing of it, reads from them: hence a
//! thread-local. Between sending and reading, a transmission may be laid aside.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::env::Clock;

/// How far a transmission has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Resolving,
    Connecting,
    Tunnelling,
    Securing,
    Sending,
    Waiting,
    Reading,
}

/// The evidence so far. Instants are readings of `Clock::monotonic`.
pub(super) struct Exchange {
    clock: Arc<dyn Clock>,
    started: Duration,
    deadline: Duration,
    connect_deadline: Duration,
    /// It was given more time once.
    resumed: bool,
    phase: Phase,
    pub(super) request_bytes: u64,
    pub(super) remote: Option<SocketAddr>,
}

impl Exchange {
    /// Time left in the present phase.
    pub(super) fn time_left(&self, now: Duration) -> Duration {
        self.present_deadline().saturating_sub(now)
    }

    fn present_deadline(&self) -> Duration {
        if self.phase < Phase::Sending { self.connect_deadline } else { self.deadline }
    }
}

/// No wait ends so late while the process runs...
const STOPPED: Duration = Duration::from_millis(300);
/// ...and what a transmission gets once it goes on.
const RESUMED: Duration = Duration::from_secs(1);

thread_local! {
    static CURRENT: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

/// The share of `timeout` that look-up, connect and TLS may take together: 5 s, more where the timeout is generous.
fn connect_share(timeout: Duration) -> Duration {
    timeout.min(Duration::from_secs(5).max(timeout / 3))
}

/// Opens the books for a transmission on this thread; whatever an earlier one left is dropped.
pub(super) fn begin(clock: &Arc<dyn Clock>, timeout: Duration) {
    let started = clock.monotonic();
    let exchange = Exchange {
        clock: Arc::clone(clock),
        started,
        deadline: started.saturating_add(timeout),
        connect_deadline: started.saturating_add(connect_share(timeout)),
        resumed: false,
        phase: Phase::Resolving,
        request_bytes: 0,
        remote: None,
    };
    CURRENT.set(Some(exchange));
}

/// Lays the transmission in hand aside.
pub(super) fn lay_aside() -> Option<Exchange> {
    CURRENT.take()
}

/// Takes one in hand again.
pub(super) fn take_up(exchange: Exchange) {
    CURRENT.set(Some(exchange));
}

/// Closes the books: the evidence and the time it took.
pub(super) fn finish() -> Option<(Exchange, Duration)> {
    let exchange = CURRENT.take()?;
    let elapsed = exchange.clock.monotonic().saturating_sub(exchange.started);
    Some((exchange, elapsed))
}

fn update(change: impl FnOnce(&mut Exchange)) {
    CURRENT.with_borrow_mut(|current| current.as_mut().map(change));
}

/// Time left in the present phase; zero when the deadline is over or no transmission is under way.
pub(super) fn remaining() -> Duration {
    CURRENT.with_borrow(|current| {
        current.as_ref().map_or(Duration::ZERO, |exchange| exchange.time_left(exchange.clock.monotonic()))
    })
}

/// Called when the deadline is over. If it is so by much more than a wait can be late, the process was stopped meanwhile
/// (SIGSTOP), and the answer may have come: a little time, once, to take it. Returns whether there is any.
pub(super) fn resume() -> bool {
    update(|exchange| {
        let now = exchange.clock.monotonic();
        if now > exchange.present_deadline() + STOPPED && !std::mem::replace(&mut exchange.resumed, true) {
            (exchange.deadline, exchange.connect_deadline) = (now + RESUMED, now + RESUMED);
        }
    });
    !remaining().is_zero()
}

pub(super) fn enter(phase: Phase) {
    update(|exchange| exchange.phase = phase);
}

pub(super) fn phase() -> Phase {
    CURRENT.with_borrow(|current| current.as_ref().map_or(Phase::Resolving, |exchange| exchange.phase))
}

/// Enters the reading of the body, which may take at most `limit` more.
pub(super) fn enter_reading(limit: Duration) {
    update(|exchange| {
        exchange.phase = Phase::Reading;
        exchange.deadline = exchange.deadline.min(exchange.clock.monotonic().saturating_add(limit));
    });
}

/// Counts request bytes handed to the connection.
pub(super) fn count_sent(bytes: usize) {
    update(|exchange| exchange.request_bytes += bytes as u64);
}

pub(super) fn reach(remote: SocketAddr) {
    update(|exchange| exchange.remote = Some(remote));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::ManualClock;
    use crate::model::Timestamp;

    #[test]
    fn connecting_has_its_own_deadline() {
        let manual = Arc::new(ManualClock::at(Timestamp(0)));
        let clock: Arc<dyn Clock> = manual.clone();
        begin(&clock, Duration::from_secs(15));
        assert_eq!(remaining(), Duration::from_secs(5));
        manual.advance(Duration::from_secs(6));
        assert_eq!(remaining(), Duration::ZERO);
        enter(Phase::Sending);
        assert_eq!(remaining(), Duration::from_secs(9));
        count_sent(7);
        enter_reading(Duration::from_secs(2));
        assert_eq!(remaining(), Duration::from_secs(2));
        let (exchange, elapsed) = finish().unwrap();
        assert_eq!((exchange.request_bytes, elapsed), (7, Duration::from_secs(6)));
        assert_eq!(remaining(), Duration::ZERO);
    }

    #[test]
    fn a_transmission_that_was_stopped_beyond_its_deadline_gets_a_little_time_once() {
        let manual = Arc::new(ManualClock::at(Timestamp(0)));
        let clock: Arc<dyn Clock> = manual.clone();
        begin(&clock, Duration::from_secs(15));
        enter(Phase::Waiting);
        manual.advance(Duration::from_millis(15_100));
        assert!(!resume(), "a wait that is a little late");
        manual.advance(Duration::from_secs(3600));
        assert!(resume());
        assert_eq!(remaining(), RESUMED);
        manual.advance(Duration::from_secs(3600));
        assert!(!resume(), "once");
    }

    #[test]
    fn short_timeouts_bound_connecting_too() {
        assert_eq!(connect_share(Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(connect_share(Duration::from_secs(60)), Duration::from_secs(20));
    }
}
