//! Time as a value somebody hands out.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Tells the time. `now` is wall clock and may jump; `monotonic` only grows and is for measuring.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary fixed start.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam through which everybody else reads the clock")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam through which everybody else reads the clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Wall time that never goes back: after a step back it goes on from where it was, at the pace of the monotonic clock.
/// For schedules, which must not stall because somebody set the clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadyTime {
    last: Option<(Timestamp, Duration)>,
}

impl SteadyTime {
    /// The steady time when the two clocks read `wall` and `monotonic`.
    pub fn at(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let steady = match self.last {
            None => wall,
            Some((last, then)) => wall.max(last.plus(monotonic.saturating_sub(then))),
        };
        // Milliseconds are cut off: keep the older reading until a whole one has passed.
        if self.last.is_none_or(|(last, _)| steady > last) {
            self.last = Some((steady, monotonic));
        }
        steady
    }
}

/// A clock that stands still until it is moved: for tests and the simulation.
pub struct ManualClock {
    now_ms: AtomicI64,
    start_ms: i64,
}

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self { now_ms: AtomicI64::new(start.0), start_ms: start.0 }
    }

    pub fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Timestamp(self.now_ms.load(Ordering::SeqCst)).since(Timestamp(self.start_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_time_goes_on_when_the_wall_clock_is_set_back() {
        let mut steady = SteadyTime::default();
        let at = |s| Duration::from_secs(s);
        assert_eq!(steady.at(Timestamp(100_000), at(1)), Timestamp(100_000));
        assert_eq!(steady.at(Timestamp(40_000), at(3)), Timestamp(102_000));
        assert_eq!(steady.at(Timestamp(41_000), at(4)), Timestamp(103_000));
        assert_eq!(steady.at(Timestamp(500_000), at(5)), Timestamp(500_000));
    }
}
