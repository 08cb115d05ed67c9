//! A measurement keeps time by itself: nanoseconds that two processes agree on, and real pauses.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock by itself")]
pub fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a producer at a steady pace, and a look at a process now and then")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
