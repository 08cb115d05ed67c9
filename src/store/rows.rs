//! The view's keys and values, drawn. Keys are built by hand, big-endian, so that they sort; values are versioned,
//! checksummed bincode, because sled can return inconsistent data without an error after media damage.
//!
//! ```text
//!   m3                                         -> Meta            how far the ledger rows reach
//!   t                                          -> Tally           which state, and how many rows of the ledger
//!   r                                          -> lsn u64         how far the x rows reach: at least as far as Meta
//!   l | sub u32                                -> LaneState       one per subscription
//!   k | number u64                             -> Chunk           some hundred kept stretches of the log
//!   s | source name                            -> bytes           where a tailed file stands
//!   x | sub u32 | seq u64 | replay u32         -> ExceptionRow    parked, failed and unknown deliveries
//!   d | sub u32 | due i64 | seq | replay       -> nothing         the parked ones by due time
//!   i | delivery id, 16 bytes                  -> sub, seq, replay
//!   p | segment u128 | offset u64 | sub | seq | replay -> nothing  which lines the x rows still need
//!
//!   value = | crc32 u32 of the rest | version u8 | bincode |
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{self, DeliveryKey, ExceptionRow};
use crate::model::{Position, SegmentId, SubId, Timestamp};

/// How far the ledger rows of the view reach.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Meta {
    pub lsn: u64,
    pub next_seq: u64,
    pub next_sub: u32,
    pub spool: super::ledger::SpoolBooks,
    pub barrier: Option<super::record::Barrier>,
    pub scheduled: Timestamp,
    pub last_replay: u32,
}

/// Whose rows these are, and how many of them there must be: sled can lose some without an error.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Tally {
    /// When the state was made.
    pub born: Timestamp,
    pub lanes: u64,
    /// Chunks of extents.
    pub chunks: u64,
    pub sources: u64,
}

/// A view of an older layout has none, and is built again from the journal.
pub(super) const META: &[u8] = b"m3";
pub(super) const TALLY: &[u8] = b"t";
pub(super) const REACH: &[u8] = b"r";
pub(super) const LANES: &[u8] = b"l";
pub(super) const CHUNKS: &[u8] = b"k";
pub(super) const SOURCES: &[u8] = b"s";
pub(super) const EXCEPTIONS: &[u8] = b"x";
pub(super) const DUES: &[u8] = b"d";
pub(super) const IDS: &[u8] = b"i";
pub(super) const PINS: &[u8] = b"p";

/// A row that fails its checksum or does not decode.
#[derive(Debug, thiserror::Error)]
#[error("a row of the view is damaged: {0}")]
pub struct RowError(pub(super) String);

pub(super) fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    record::encode(value, &mut bytes);
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The checksum that the row has in the view.
pub(super) fn checksum<T: Serialize>(value: &T) -> u32 {
    crc32fast::hash(&seal(value)[4..])
}

pub(super) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RowError> {
    let (crc, rest) = bytes.split_at_checked(4).ok_or_else(|| RowError("shorter than its checksum".into()))?;
    if crc32fast::hash(rest).to_le_bytes() != crc {
        return Err(RowError("the checksum differs".into()));
    }
    record::decode(rest).map_err(|error| RowError(error.to_string()))
}

fn key(prefix: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![prefix];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

pub(super) fn lane_key(sub: SubId) -> Vec<u8> {
    key(b'l', &[&sub.0.to_be_bytes()])
}

pub(super) fn chunk_key(number: u64) -> Vec<u8> {
    key(b'k', &[&number.to_be_bytes()])
}

pub(super) fn source_key(source: &str) -> Vec<u8> {
    key(b's', &[source.as_bytes()])
}

pub(super) fn exception_key(delivery: DeliveryKey) -> Vec<u8> {
    key(b'x', &[&delivery.sub.0.to_be_bytes(), &delivery.seq.to_be_bytes(), &delivery.replay.to_be_bytes()])
}

pub(super) fn exceptions_of(sub: SubId) -> Vec<u8> {
    key(b'x', &[&sub.0.to_be_bytes()])
}

/// Reads an exception key back.
pub(super) fn parse_exception_key(key: &[u8]) -> Option<DeliveryKey> {
    let rest: &[u8; 16] = key.strip_prefix(EXCEPTIONS)?.try_into().ok()?;
    Some(DeliveryKey {
        sub: SubId(u32::from_be_bytes(rest[..4].try_into().ok()?)),
        seq: u64::from_be_bytes(rest[4..12].try_into().ok()?),
        replay: u32::from_be_bytes(rest[12..].try_into().ok()?),
    })
}

/// Orders instants before 1970 below the others, as unsigned bytes.
fn sortable(at: Timestamp) -> [u8; 8] {
    (at.0.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

pub(super) fn due_key(delivery: DeliveryKey, due: Timestamp) -> Vec<u8> {
    key(
        b'd',
        &[&delivery.sub.0.to_be_bytes(), &sortable(due), &delivery.seq.to_be_bytes(), &delivery.replay.to_be_bytes()],
    )
}

pub(super) fn dues_of(sub: SubId) -> Vec<u8> {
    key(b'd', &[&sub.0.to_be_bytes()])
}

/// Reads a due key back.
pub(super) fn parse_due_key(key: &[u8]) -> Option<(DeliveryKey, Timestamp)> {
    let rest: &[u8; 24] = key.strip_prefix(b"d")?.try_into().ok()?;
    let due = u64::from_be_bytes(rest[4..12].try_into().ok()?) ^ (1 << 63);
    let delivery = DeliveryKey {
        sub: SubId(u32::from_be_bytes(rest[..4].try_into().ok()?)),
        seq: u64::from_be_bytes(rest[12..20].try_into().ok()?),
        replay: u32::from_be_bytes(rest[20..].try_into().ok()?),
    };
    Some((delivery, Timestamp(due.cast_signed())))
}

pub(super) fn id_key(delivery: &[u8; 16]) -> Vec<u8> {
    key(b'i', &[delivery])
}

pub(super) fn pin_key(at: Position, delivery: DeliveryKey) -> Vec<u8> {
    key(
        b'p',
        &[
            &at.segment.0.to_be_bytes(),
            &at.offset.to_be_bytes(),
            &delivery.sub.0.to_be_bytes(),
            &delivery.seq.to_be_bytes(),
            &delivery.replay.to_be_bytes(),
        ],
    )
}

pub(super) fn pins_of(segment: SegmentId) -> Vec<u8> {
    key(b'p', &[&segment.0.to_be_bytes()])
}

/// The line offset a pin key speaks of.
pub(super) fn parse_pin_offset(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(17..25)?.try_into().ok()?))
}

/// The segment a pin key speaks of.
pub(super) fn parse_pin_segment(key: &[u8]) -> Option<SegmentId> {
    Some(SegmentId(u128::from_be_bytes(key.get(1..17)?.try_into().ok()?)))
}

/// Every key that belongs to one exception row.
pub(super) fn index_keys(delivery: DeliveryKey, row: &ExceptionRow) -> [Vec<u8>; 3] {
    [due_key(delivery, row.due), id_key(&row.facts.delivery), pin_key(row.facts.position, delivery)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_and_read_back() {
        let delivery = DeliveryKey { sub: SubId(3), seq: 9, replay: 1 };
        assert_eq!(parse_exception_key(&exception_key(delivery)), Some(delivery));
        assert_eq!(parse_due_key(&due_key(delivery, Timestamp(-5))), Some((delivery, Timestamp(-5))));
        assert!(due_key(delivery, Timestamp(-5)) < due_key(delivery, Timestamp(5)));
        let at = Position { segment: SegmentId(4), offset: 77 };
        assert_eq!(parse_pin_offset(&pin_key(at, delivery)), Some(77));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut bytes = seal(&(1u32, 2u64));
        assert_eq!(unseal::<(u32, u64)>(&bytes).ok(), Some((1, 2)));
        bytes[7] ^= 1;
        assert!(unseal::<(u32, u64)>(&bytes).is_err());
        assert!(unseal::<(u32, u64)>(&[]).is_err());
    }
}
