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

/// Somebody set the clock if it moved by this much more, or less, than the time that passed.
const STEP: Duration = Duration::from_secs(60);

/// Wall time without steps: it follows the wall clock as it drifts, and when somebody sets the clock, forward or back, it goes
/// on at the pace of the monotonic clock. For schedules, which must neither stall nor come due all at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadyTime {
    last: Option<(Timestamp, Duration)>,
    /// How far the wall clock was set ahead of us, in milliseconds.
    ahead_ms: i64,
}

impl SteadyTime {
    /// Steady time that is at `now` when the two clocks read `wall` and `monotonic`.
    pub fn starting(now: Timestamp, wall: Timestamp, monotonic: Duration) -> Self {
        Self { last: Some((now, monotonic)), ahead_ms: wall.0 - now.0 }
    }

    /// The steady time when the two clocks read `wall` and `monotonic`.
    pub fn at(&mut self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let Some((last, then)) = self.last else {
            self.last = Some((wall, monotonic));
            return wall;
        };
        let due = last.plus(monotonic.saturating_sub(then));
        let seen = Timestamp(wall.0.saturating_sub(self.ahead_ms));
        let step_ms = seen.0.saturating_sub(due.0);
        let is_step = u128::from(step_ms.unsigned_abs()) > STEP.as_millis();
        if is_step {
            self.ahead_ms = self.ahead_ms.saturating_add(step_ms);
        }
        let steady = if is_step { due } else { due.max(seen) };
        // Milliseconds are cut off: keep the older reading until a whole one has passed.
        if steady > last {
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

    fn at(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn steady_time_takes_no_part_in_steps_of_the_wall_clock() {
        let mut steady = SteadyTime::default();
        assert_eq!(steady.at(Timestamp(100_000), at(1)), Timestamp(100_000));
        assert_eq!(steady.at(Timestamp(-40_000), at(3)), Timestamp(102_000), "set back");
        assert_eq!(steady.at(Timestamp(-39_000), at(4)), Timestamp(103_000));
        assert_eq!(steady.at(Timestamp(315_360_000_000), at(5)), Timestamp(104_000), "ten years ahead");
        assert_eq!(
            steady.at(Timestamp(315_360_001_500), at(6)),
            Timestamp(105_500),
            "half a second of drift is followed"
        );
        assert_eq!(steady.at(Timestamp(315_360_001_500), at(7)), Timestamp(106_500), "it never goes back");
    }

    #[test]
    fn steady_time_can_begin_where_an_earlier_run_was() {
        let mut steady = SteadyTime::starting(Timestamp(900_000), Timestamp(100_000), at(0));
        assert_eq!(steady.at(Timestamp(105_000), at(5)), Timestamp(905_000));
        assert_eq!(steady.at(Timestamp(900_000), at(6)), Timestamp(906_000));
    }
}
