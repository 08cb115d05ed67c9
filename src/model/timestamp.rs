//! Wall-clock instants as the rest of the crate stores and prints them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC. Schedules that outlive the process are kept in this form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the Unix epoch, rounded down.
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved forward, saturating at the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This instant moved back, saturating.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long `self` lies after `earlier`; zero when it does not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an RFC 3339 instant (`2026-03-12T10:00:00Z`, any offset, any fraction).
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|instant| Self(instant.as_millisecond()))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-03-12T10:00:00.000Z`. What lies beyond the years it can say is its first or last
/// instant: a certificate that never ends does so at the end of 9999.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nearest = if self.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let instant = jiff::Timestamp::from_millisecond(self.0).unwrap_or(nearest);
        write!(out, "{}", instant.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_prints() {
        assert_eq!(Timestamp(253_402_300_799_000).to_string(), "9999-12-30T22:00:00.999Z");
        assert!(Timestamp(i64::MIN).to_string().starts_with('-'));
    }

    #[test]
    fn prints_and_reads_rfc_3339() {
        let instant = Timestamp(1_773_309_600_000);
        assert_eq!(instant.to_string(), "2026-03-12T10:00:00.000Z");
        assert_eq!(Timestamp::parse("2026-03-12T10:00:00Z"), Some(instant));
        assert_eq!(Timestamp::parse("2026-03-12T12:00:00.000+02:00"), Some(instant));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn differences_never_go_below_zero() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Duration::from_millis(4));
    }
}
