//! When a failed delivery is tried again. Pure: jitter comes from a number passed in.

use std::time::Duration;

use crate::model::{RetrySchedule, Timestamp};

/// Longest wait that a receiver may ask for with Retry-After.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The instant of the next attempt after `failed` attempts of the schedule have failed, or `None` when it is exhausted.
/// `random` is uniform over all of u64; `retry_after` is what the receiver asked for, honoured between the schedule's
/// own wait and one hour.
pub fn next_attempt(
    schedule: &RetrySchedule,
    failed: u32,
    now: Timestamp,
    retry_after: Option<Duration>,
    random: u64,
) -> Option<Timestamp> {
    let index = usize::try_from(failed.checked_sub(1)?).ok()?;
    let wait = *schedule.waits.get(index)?;
    let wait = jittered(wait, schedule.jitter, random);
    let asked = retry_after.map_or(Duration::ZERO, |asked| asked.min(RETRY_AFTER_MAX));
    Some(now.plus(wait.max(asked)))
}

fn jittered(wait: Duration, jitter: f64, random: u64) -> Duration {
    let spread = (random as f64 / u64::MAX as f64) * 2.0 - 1.0;
    wait.mul_f64((1.0 + jitter * spread).max(0.0))
}

/// Reads a Retry-After header (RFC 9110 section 10.2.3): seconds, or an HTTP date in IMF-fixdate form. Nonsense is `None`;
/// a date in the past is zero.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Timestamp(date.as_millisecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_773_309_600_000);

    fn schedule(seconds: &[u64], jitter: f64) -> RetrySchedule {
        RetrySchedule { waits: seconds.iter().map(|s| Duration::from_secs(*s)).collect(), jitter }
    }

    #[test]
    fn waits_follow_the_schedule_and_end() {
        let schedule = schedule(&[5, 300], 0.0);
        assert_eq!(next_attempt(&schedule, 1, NOW, None, 0), Some(NOW.plus(Duration::from_secs(5))));
        assert_eq!(next_attempt(&schedule, 2, NOW, None, 0), Some(NOW.plus(Duration::from_secs(300))));
        assert_eq!(next_attempt(&schedule, 3, NOW, None, 0), None);
        assert_eq!(next_attempt(&RetrySchedule::none(), 1, NOW, None, 0), None);
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let schedule = schedule(&[100], 0.1);
        let at = |random| next_attempt(&schedule, 1, NOW, None, random).unwrap().since(NOW);
        assert_eq!(at(0), Duration::from_secs(90));
        assert_eq!(at(u64::MAX), Duration::from_secs(110));
    }

    #[test]
    fn retry_after_is_honoured_and_clamped() {
        let schedule = schedule(&[60], 0.0);
        let at = |asked| next_attempt(&schedule, 1, NOW, Some(Duration::from_secs(asked)), 0).unwrap().since(NOW);
        assert_eq!(at(1), Duration::from_secs(60));
        assert_eq!(at(600), Duration::from_secs(600));
        assert_eq!(at(1_000_000_000_000), Duration::from_secs(3600));
    }

    #[test]
    fn retry_after_forms() {
        assert_eq!(parse_retry_after("120", NOW), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("99999999999999999999", NOW), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(parse_retry_after("Thu, 12 Mar 2026 10:02:00 GMT", NOW), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("Thu, 12 Mar 2020 10:02:00 GMT", NOW), Some(Duration::ZERO));
        for nonsense in ["", "-5", "soon", "1e3", "5 minutes"] {
            assert_eq!(parse_retry_after(nonsense, NOW), None, "{nonsense}");
        }
    }
}
