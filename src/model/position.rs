//! Where an event lies in the log, and in which order events were taken in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Place of an event in the order the engine took events in: dense, from 1, never reused.
pub type Seq = u64;

/// Name of one log file, chosen by the engine when it claims (or creates) it: a ULID, 48 bits of milliseconds and
/// 80 bits that are unique and increasing within a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId(pub u128);

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl SegmentId {
    /// A fresh id at `now`, greater than `last` whatever the clock did.
    pub fn next(now: Timestamp, last: Option<SegmentId>, random: u64) -> Self {
        let millis = u128::from(u64::try_from(now.0).unwrap_or(0)) & 0xFFFF_FFFF_FFFF;
        let fresh = SegmentId((millis << 80) | u128::from(random));
        match last {
            Some(last) if last >= fresh => SegmentId(last.0 + 1),
            _ => fresh,
        }
    }

    /// The instant the id was made.
    pub fn created(self) -> Timestamp {
        Timestamp(i64::try_from(self.0 >> 80).unwrap_or(i64::MAX))
    }
}

/// The 26 characters of a ULID in Crockford's base 32.
impl fmt::Display for SegmentId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 26];
        for (index, slot) in text.iter_mut().enumerate() {
            *slot = CROCKFORD[((self.0 >> (5 * (25 - index))) & 31) as usize];
        }
        out.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl FromStr for SegmentId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(());
        }
        text.bytes()
            .try_fold(0u128, |value, byte| {
                let digit = CROCKFORD.iter().position(|&c| c == byte).ok_or(())?;
                Ok((value << 5) | digit as u128)
            })
            .map(SegmentId)
    }
}

/// The first byte of an event's line in a segment. With the segment's name it identifies the line for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub segment: SegmentId,
    pub offset: u64,
}

/// One stretch of a segment that was read, judged and numbered in one go. Extents are what "accepted" means: an event
/// exists once the extent that holds it is durable in the journal. The extents of one segment touch and never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub segment: SegmentId,
    /// Offsets of the first byte and of the byte after the last.
    pub start: u64,
    pub end: u64,
    /// Sequence number of the first event in it (of the next event, when it holds none).
    pub first_seq: Seq,
    pub events: u32,
    pub blank: u32,
    pub quarantined: u32,
    /// When the engine first saw these lines: the `time` of events that carry none, the same after any crash.
    pub seen: Timestamp,
}

impl Extent {
    /// Lines counted in the books: `events + blank + quarantined`.
    pub fn lines(&self) -> u64 {
        u64::from(self.events) + u64::from(self.blank) + u64::from(self.quarantined)
    }

    /// Sequence number after the last event in it.
    pub fn next_seq(&self) -> Seq {
        self.first_seq + u64::from(self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_ids_print_and_parse() {
        let id = SegmentId::next(Timestamp(1_773_309_600_000), None, 42);
        let text = id.to_string();
        assert_eq!(text.len(), 26);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(id.created(), Timestamp(1_773_309_600_000));
        assert_eq!("zz".parse::<SegmentId>(), Err(()));
    }

    #[test]
    fn segment_ids_grow_when_the_clock_goes_back() {
        let first = SegmentId::next(Timestamp(2_000), None, 7);
        assert!(SegmentId::next(Timestamp(1_000), Some(first), 0) > first);
    }
}
