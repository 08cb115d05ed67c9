//! What the journal says: every decision of the engine, in the order it was taken.
//!
//! Encoded with bincode (fixed-width integers, little-endian) behind one byte of record version. bincode does not
//! describe itself: variants and fields are only ever appended in a new version, never changed in an old one; the golden
//! bytes below hold version 1 in place.

use std::collections::BTreeMap;

use bincode::Options;
use compact_str::CompactString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{
    Attempt, AttemptTrigger, Extent, Filter, OrderKey, Outcome, Position, SegmentId, Seq, SubId, Timestamp,
};

/// Version byte in front of every record and row.
pub const VERSION: u8 = 1;

/// Which delivery of a subscription: the event's sequence number, and 0 for the delivery that matching made or n for
/// its n-th replay as a delivery of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryKey {
    pub sub: SubId,
    pub seq: Seq,
    pub replay: u32,
}

/// What a delivery is about: enough to show it and to find its event again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFacts {
    pub delivery: [u8; 16],
    pub position: Position,
    /// When the event was first seen.
    pub seen: Timestamp,
    pub event_id: CompactString,
    pub event_type: CompactString,
    /// What it is kept in order by.
    pub order: Option<OrderKey>,
}

/// What an attempt meant for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Delivered,
    /// It is tried again at `due`, as decided at `at`; both by the clock that schedules run on.
    Retry {
        due: Timestamp,
        at: Timestamp,
    },
    Failed,
    Unknown,
}

/// How a delivery ends without an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Cancelled,
    /// Its payload is no longer kept.
    Expired,
    /// It may have been sent by an engine whose state is lost (at-most-once).
    Unknown,
    /// A newer state of its key takes its place.
    Superseded,
}

/// How a delivery came to stand where it stands before a record about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It was waiting in the log.
    Log,
    /// It had a row of its own: a parked retry.
    Parked,
}

/// How far the spool reached when an engine started without knowing what was sent before: of these events nobody knows
/// which at-most-once deliveries were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Barrier {
    /// The newest segment there was.
    pub upto: SegmentId,
    /// Length of those that could still grow. What came behind it came later.
    pub open: BTreeMap<SegmentId, u64>,
}

impl Barrier {
    /// Whether the event at `position` was there.
    pub fn covers(&self, position: Position) -> bool {
        let was_there = |len: &u64| position.offset < *len;
        position.segment <= self.upto && self.open.get(&position.segment).is_none_or(was_there)
    }
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// The engine started; with a barrier if it does not know all that was sent before.
    Started {
        at: Timestamp,
        barrier: Option<Barrier>,
    },
    /// A subscription is new, or takes other events from `from_seq` on. `matched` counts the events of the past that it
    /// takes because it starts there.
    Subscribed {
        sub: SubId,
        tenant: String,
        name: String,
        filter: Filter,
        from_seq: Seq,
        matched: u64,
        at: Timestamp,
    },
    /// The subscription is no longer configured; what waits is held.
    Unsubscribed {
        sub: SubId,
        at: Timestamp,
    },
    Paused {
        sub: SubId,
        reason: String,
        at: Timestamp,
    },
    Resumed {
        sub: SubId,
        at: Timestamp,
    },
    /// Lines were accepted; this many of their events matched each subscription, and `unmatched` of them none.
    Taken {
        extent: Extent,
        matched: Vec<(SubId, u32)>,
        unmatched: u32,
    },
    /// Where a tailed file of somebody else's stands; the bytes are the source's own, and none when it is done with.
    SourceCursor {
        source: String,
        cursor: Vec<u8>,
    },
    /// An at-most-once delivery is about to be sent. Durable before its first byte.
    Claimed {
        key: DeliveryKey,
        claim: Claim,
    },
    /// An attempt ended. `low`: every delivery of the subscription that waited in the log below it has been judged. `from`:
    /// no event from there up to this one is left for the subscription to judge, as far as it waited in the log. `base` and
    /// `replay_of` are carried along from the delivery's row.
    Attempted {
        key: DeliveryKey,
        origin: Origin,
        facts: DeliveryFacts,
        attempt: Attempt,
        verdict: Verdict,
        base: u32,
        replay_of: Option<[u8; 16]>,
        from: Seq,
        low: Seq,
    },
    /// A delivery ended without another attempt.
    Ended {
        key: DeliveryKey,
        origin: Origin,
        facts: DeliveryFacts,
        end: End,
        from: Seq,
        low: Seq,
        at: Timestamp,
    },
    /// A failed or unknown delivery goes back to pending, due now, with the same id.
    Retriggered {
        key: DeliveryKey,
        row: ExceptionRow,
        was: ExceptionStatus,
        at: Timestamp,
    },
    /// A delivery was made again as a new one.
    Replayed {
        key: DeliveryKey,
        row: ExceptionRow,
        at: Timestamp,
    },
    /// A segment's file is gone for good.
    Purged {
        segment: SegmentId,
        at: Timestamp,
    },
    /// A subscription has not been configured for so long that what still waited for it in the log is cancelled.
    Withdrawn {
        sub: SubId,
        at: Timestamp,
    },
    /// A failed or unknown delivery is older than the history: its row goes, its outcome stays in the books.
    Forgotten {
        key: DeliveryKey,
        was: ExceptionStatus,
        at: Timestamp,
    },
    /// So many deliveries of the subscription are no longer to be found: their events, or their fate, were lost.
    Dropped {
        sub: SubId,
        count: u64,
        at: Timestamp,
    },
    /// A claimed delivery was not sent after all and waits in the log again: it was claimed together with others, and
    /// the worker did not get to it.
    Released {
        key: DeliveryKey,
    },
}

/// An at-most-once delivery that may be on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub origin: Origin,
    pub facts: DeliveryFacts,
    pub number: u32,
    pub trigger: AttemptTrigger,
    pub base: u32,
    pub replay_of: Option<[u8; 16]>,
    pub at: Timestamp,
}

/// The statuses that have a row of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ExceptionStatus {
    Parked,
    Failed,
    Unknown,
    /// Only as the past of a retriggered delivery: delivered ones have no row.
    Delivered,
}

/// A delivery that is neither delivered nor simply waiting in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionRow {
    pub status: ExceptionStatus,
    pub facts: DeliveryFacts,
    /// When a parked one is due.
    pub due: Timestamp,
    /// Attempts made so far.
    pub attempts: u32,
    /// Attempts made when it was last retriggered by hand: the retry schedule starts over from there.
    pub base: u32,
    pub last: Option<LastAttempt>,
    /// The delivery this one repeats, when it is a replay of its own.
    pub replay_of: Option<[u8; 16]>,
    pub updated: Timestamp,
}

impl ExceptionRow {
    /// Of a delivery of which nobody knows whether it was sent.
    pub(super) fn in_doubt(facts: &DeliveryFacts, at: Timestamp) -> Self {
        Self {
            status: ExceptionStatus::Unknown,
            facts: facts.clone(),
            due: Timestamp::default(),
            attempts: 0,
            base: 0,
            last: None,
            replay_of: None,
            updated: at,
        }
    }

    /// Of a delivery after an attempt.
    pub(super) fn after(record: &Record, status: ExceptionStatus, due: Timestamp) -> Option<Self> {
        let Record::Attempted { facts, attempt, base, replay_of, .. } = record else { return None };
        Some(Self {
            status,
            facts: facts.clone(),
            due,
            attempts: attempt.number,
            base: *base,
            last: Some(LastAttempt {
                outcome: attempt.outcome,
                status_code: attempt.exchange.status_code,
                error: attempt.exchange.error.clone(),
                at: attempt.started,
            }),
            replay_of: *replay_of,
            updated: attempt.started,
        })
    }
}

/// The short form of the latest attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAttempt {
    pub outcome: Outcome,
    pub status_code: Option<u16>,
    pub error: String,
    pub at: Timestamp,
}

/// A record or row that does not read back.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("it is empty")]
    Empty,
    #[error("it has version {0}, this program reads version {VERSION}; a newer spoolhook wrote it")]
    Version(u8),
    #[error("it does not decode: {0}")]
    Malformed(bincode::Error),
}

fn options() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().reject_trailing_bytes().with_limit(1 << 26)
}

/// Encodes a record or row behind its version byte, appending to `out`.
pub fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    out.push(VERSION);
    options().serialize_into(out, value).expect("these types serialise and a Vec does not fail");
}

/// Decodes what [`encode`] wrote.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    match bytes.split_first() {
        None => Err(DecodeError::Empty),
        Some((&VERSION, rest)) => options().deserialize(rest).map_err(DecodeError::Malformed),
        Some((&other, _)) => Err(DecodeError::Version(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_bytes() {
        let record = Record::Taken {
            extent: Extent {
                segment: SegmentId(7),
                start: 10,
                end: 90,
                first_seq: 3,
                events: 2,
                blank: 1,
                quarantined: 0,
                seen: Timestamp(1000),
            },
            matched: vec![(SubId(1), 2)],
            unmatched: 0,
        };
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0105000000070000000000000000000000000000000a000000000000005a000000000000000300000000000000\
             020000000100000000000000e8030000000000000100000000000000010000000200000000000000"
        );
        assert_eq!(decode::<Record>(&bytes).ok(), Some(record));
    }

    #[test]
    fn other_versions_and_trailing_bytes_are_refused() {
        let mut bytes = Vec::new();
        encode(&Record::Started { at: Timestamp(1), barrier: None }, &mut bytes);
        bytes.push(0);
        assert!(matches!(decode::<Record>(&bytes), Err(DecodeError::Malformed(_))));
        bytes[0] = 9;
        assert!(matches!(decode::<Record>(&bytes), Err(DecodeError::Version(9))));
        assert!(matches!(decode::<Record>(&[]), Err(DecodeError::Empty)));
    }
}
