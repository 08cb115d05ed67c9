//! An event: one JSON object on one line, as the producer wrote it, and what its envelope says.

use std::ops::Range;
use std::sync::Arc;

use compact_str::CompactString;

use super::{Position, Seq, Timestamp};

/// What happened to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    /// The word on the wire: `INSERT`, `UPDATE` or `DELETE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Insert => "INSERT",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "INSERT" => Some(Operation::Insert),
            "UPDATE" => Some(Operation::Update),
            "DELETE" => Some(Operation::Delete),
            _ => None,
        }
    }

    /// What the last segment of an event type says; `Update` when it says nothing.
    pub fn of_verb(verb: &str) -> Self {
        match verb {
            "created" | "inserted" | "added" => Operation::Insert,
            "deleted" | "removed" => Operation::Delete,
            _ => Operation::Update,
        }
    }
}

/// One event. `line` holds the exact bytes of its JSON object; `data` and `old` are ranges into it, so that what the
/// producer wrote reaches the receiver byte for byte. Texts of up to 24 bytes need no memory of their own.
#[derive(Clone, Debug)]
pub struct Event {
    pub seq: Seq,
    pub position: Position,
    /// When the engine first saw the line.
    pub seen: Timestamp,
    pub line: Arc<[u8]>,
    pub event_type: CompactString,
    pub tenant: CompactString,
    /// The producer's id, or `<segment>-<offset>`.
    pub id: CompactString,
    /// RFC 3339: the producer's text as written, or `seen`.
    pub time: CompactString,
    pub key: Option<CompactString>,
    pub operation: Operation,
    pub trigger: CompactString,
    pub traceparent: Option<CompactString>,
    pub data: Range<usize>,
    pub old: Option<Range<usize>>,
}

impl Event {
    /// The record after the change, as raw JSON bytes.
    pub fn data(&self) -> &[u8] {
        &self.line[self.data.clone()]
    }

    /// The record before the change, as raw JSON bytes.
    pub fn old(&self) -> Option<&[u8]> {
        self.old.clone().map(|range| &self.line[range])
    }

    /// The type's segments before the last: `salesOrder` of `salesOrder.updated`.
    pub fn entity(&self) -> &str {
        self.event_type.rsplit_once('.').map_or(self.event_type.as_str(), |(entity, _)| entity)
    }
}

/// Whether `name` is a legal event type: dotted `[A-Za-z0-9_]` segments, 1 to 128 bytes.
pub fn valid_event_type(name: &str) -> bool {
    name.len() <= 128
        && name.split('.').all(|segment| {
            !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

/// Why a line is not an event. The names appear in quarantine entries, metrics and the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectionReason {
    InvalidJson,
    NotObject,
    InvalidUtf8,
    NulBytes,
    TooLong,
    TooDeep,
    Schema,
    DuplicateKey,
    TornTail,
    TrailingData,
    BadCrc,
}

impl RejectionReason {
    pub const ALL: [Self; 11] = [
        Self::InvalidJson,
        Self::NotObject,
        Self::InvalidUtf8,
        Self::NulBytes,
        Self::TooLong,
        Self::TooDeep,
        Self::Schema,
        Self::DuplicateKey,
        Self::TornTail,
        Self::TrailingData,
        Self::BadCrc,
    ];

    /// The name in files, metrics and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectionReason::InvalidJson => "invalid_json",
            RejectionReason::NotObject => "not_object",
            RejectionReason::InvalidUtf8 => "invalid_utf8",
            RejectionReason::NulBytes => "nul_bytes",
            RejectionReason::TooLong => "too_long",
            RejectionReason::TooDeep => "too_deep",
            RejectionReason::Schema => "schema",
            RejectionReason::DuplicateKey => "duplicate_key",
            RejectionReason::TornTail => "torn_tail",
            RejectionReason::TrailingData => "trailing_data",
            RejectionReason::BadCrc => "bad_crc",
        }
    }
}

/// A line that is not an event: the class of the fault and a sentence that says where and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: RejectionReason,
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_types() {
        for good in ["a", "salesOrder.updated", "shipment.status_changed", "a.b.c1"] {
            assert!(valid_event_type(good), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a-b", "é", &"x".repeat(129)] {
            assert!(!valid_event_type(bad), "{bad}");
        }
    }

    #[test]
    fn operations_follow_the_last_segment() {
        assert_eq!(Operation::of_verb("created"), Operation::Insert);
        assert_eq!(Operation::of_verb("removed"), Operation::Delete);
        assert_eq!(Operation::of_verb("status_changed"), Operation::Update);
    }
}
