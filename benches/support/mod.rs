//! What the benchmarks of the whole engine share: the engine as a child process, the receiver, and the reading of times.

pub mod engine;
pub mod sink;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "a measurement keeps time by itself")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// The middle one; of an even number the upper of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` of `sorted` lie.
pub fn quantile(sorted: &[u64], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).map_or(f64::NAN, |value| *value as f64)
}

/// A number from the environment.
pub fn set<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Whether a quick run is asked for, which only shows that the benchmark works.
pub fn is_small() -> bool {
    std::env::var("SPOOLHOOK_BENCH_SMALL").is_ok_and(|value| !value.is_empty())
}
