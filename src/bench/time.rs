//! A measurement keeps time by itself: nanoseconds that two processes agree on, and real pauses.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock by itself")]
pub fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

/// Sleeps, which nothing else here does: a producer keeps its pace, an endpoint drips, and another process is looked at now
/// and then, since neither a sink's count nor `/proc` tells when it changes. Nobody pauses in the hope that something is
/// done by then: whoever waits looks again.
#[expect(clippy::disallowed_methods, reason = "the pace of a producer and of looks at another process is real time")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}
