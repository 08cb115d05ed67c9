//! How much was read, by where it came from and by what was wrong with it. For charts: it begins anew with the engine, and a
//! line that is read again after a stop counts again. The books are elsewhere.

use super::quarantine::Bad;
use crate::model::{RejectionReason, SegmentId};

/// Before the number of a request, in the names of files that the API writes.
const API: &str = "api-";

/// Where lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Files of producers.
    Spool,
    /// Logs that somebody else owns.
    Log,
    /// Requests to the API.
    Api,
}

impl SourceKind {
    pub const ALL: [Self; 3] = [Self::Spool, Self::Log, Self::Api];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Log => "log",
            Self::Api => "api",
        }
    }

    /// The name, without its suffix, of the file that a request to the API becomes.
    pub fn api_stem(token: SegmentId) -> String {
        format!("{API}{token}")
    }

    /// What stands behind the name of a source.
    pub fn of(name: &str) -> Self {
        match name.strip_prefix(API) {
            _ if name.starts_with("log~") => Self::Log,
            Some(token) if token.parse::<SegmentId>().is_ok() => Self::Api,
            _ => Self::Spool,
        }
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    events: [u64; SourceKind::ALL.len()],
    rejected: [u64; RejectionReason::ALL.len()],
}

impl Tally {
    pub(super) fn add(&mut self, source: SourceKind, events: usize, bad: &[Bad]) {
        self.events[source as usize] += events as u64;
        for bad in bad {
            self.rejected[bad.rejection.reason as usize] += 1;
        }
    }

    pub fn events(&self, source: SourceKind) -> u64 {
        self.events[source as usize]
    }

    pub fn rejected(&self, reason: RejectionReason) -> u64 {
        self.rejected[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn sources_are_told_by_their_names() {
        let token = SegmentId::next(Timestamp(1_773_309_600_000), None, 7);
        assert_eq!(SourceKind::of(&SourceKind::api_stem(token)), SourceKind::Api);
        for (name, kind) in
            [("log~erp", SourceKind::Log), ("orders", SourceKind::Spool), ("api-mine", SourceKind::Spool)]
        {
            assert_eq!(SourceKind::of(name), kind, "{name}");
        }
    }

    #[test]
    fn each_reason_has_a_place_of_its_own() {
        for (at, reason) in RejectionReason::ALL.into_iter().enumerate() {
            assert_eq!(at, reason as usize);
        }
    }
}
