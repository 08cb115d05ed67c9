//! A few hundred extents packed into bytes, about five each. Pure; owns the format that the view keeps them in.
//!
//! ```text
//!   chunk = | number u64 | first_seq | next_seq | seen of the first and of the last | count | segments | packed bytes |
//!   one extent in the packed bytes; varints are LEB128, seven bits a byte:
//!   | tag u8 | [1: place of its segment in the table] | [2: start] | [4: sequence numbers left out before it] |
//!   | length | [8: events, blank, quarantined] | [16: seen, zigzag difference to the extent before]
//!   without [1] the segment of the extent before, without [2] where its segment's last extent ended,
//!   without [4] none, without [8] one event and nothing else, without [16] the same moment
//! ```

use serde::{Deserialize, Serialize};

use crate::model::{Extent, SegmentId, Seq, Timestamp};

/// Extents in one chunk at most, bytes they take, and segments among them: a chunk is one small value of the view.
const EXTENTS_MAX: u32 = 512;
const BYTES_MAX: usize = 4096;
const SEGMENTS_MAX: usize = 128;

const SEGMENT: u8 = 1;
const START: u8 = 2;
const GAP: u8 = 4;
const COUNTS: u8 = 8;
const SEEN: u8 = 16;

/// What a chunk holds of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub segment: SegmentId,
    /// Where its last extent ends.
    pub end: u64,
    pub bytes: u64,
    pub events: u64,
}

/// Extents in the order they were taken; their sequence numbers never go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Grows from chunk to chunk.
    pub number: u64,
    pub first_seq: Seq,
    pub next_seq: Seq,
    first_seen: Timestamp,
    last_seen: Timestamp,
    count: u32,
    segments: Vec<Share>,
    /// Place in `segments` of the last extent's.
    last: usize,
    bytes: Vec<u8>,
}

impl Chunk {
    pub fn new(number: u64, extent: &Extent) -> Self {
        let mut chunk = Self {
            number,
            first_seq: extent.first_seq,
            next_seq: extent.first_seq,
            first_seen: extent.seen,
            last_seen: extent.seen,
            count: 0,
            segments: Vec::new(),
            last: usize::MAX,
            bytes: Vec::new(),
        };
        chunk.append(extent);
        chunk
    }

    /// Appends an extent, if it belongs here and there is room.
    pub fn push(&mut self, extent: &Extent) -> bool {
        let is_known = || self.segments.iter().any(|share| share.segment == extent.segment);
        let has_room = self.count < EXTENTS_MAX
            && self.bytes.len() < BYTES_MAX
            && (self.segments.len() < SEGMENTS_MAX || is_known());
        let fits = has_room && extent.first_seq >= self.next_seq;
        if fits {
            self.append(extent);
        } else {
            self.bytes.shrink_to_fit();
        }
        fits
    }

    fn append(&mut self, extent: &Extent) {
        let place = self.segments.iter().rposition(|share| share.segment == extent.segment).unwrap_or_else(|| {
            self.segments.push(Share { segment: extent.segment, end: 0, bytes: 0, events: 0 });
            self.segments.len() - 1
        });
        let share = &mut self.segments[place];
        let gap = extent.first_seq - self.next_seq;
        let seen = extent.seen.0.wrapping_sub(self.last_seen.0);
        let is_one = (extent.events, extent.blank, extent.quarantined) == (1, 0, 0);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let tag = flag(place != self.last, SEGMENT)
            | flag(extent.start != share.end, START)
            | flag(gap != 0, GAP)
            | flag(!is_one, COUNTS)
            | flag(seen != 0, SEEN);
        let out = &mut self.bytes;
        out.push(tag);
        if tag & SEGMENT != 0 {
            put(out, place as u64);
        }
        if tag & START != 0 {
            put(out, extent.start);
        }
        if tag & GAP != 0 {
            put(out, gap);
        }
        put(out, extent.end.wrapping_sub(extent.start));
        if tag & COUNTS != 0 {
            [extent.events, extent.blank, extent.quarantined].into_iter().for_each(|count| put(out, u64::from(count)));
        }
        if tag & SEEN != 0 {
            put(out, (seen.cast_unsigned() << 1) ^ (seen >> 63).cast_unsigned());
        }
        share.end = extent.end;
        share.bytes += extent.end.wrapping_sub(extent.start);
        share.events += u64::from(extent.events);
        self.last = place;
        self.next_seq = extent.next_seq();
        self.last_seen = extent.seen;
        self.count += 1;
    }

    /// What it holds of each segment.
    pub fn segments(&self) -> &[Share] {
        &self.segments
    }

    pub fn holds(&self, segment: SegmentId) -> bool {
        self.segments.iter().any(|share| share.segment == segment)
    }

    /// The extents, in order.
    pub fn extents(&self) -> Vec<Extent> {
        let mut reader = Reader { rest: &self.bytes, place: usize::MAX, ends: vec![0; self.segments.len()] };
        let mut extents = Vec::with_capacity(self.count as usize);
        let (mut seq, mut seen) = (self.first_seq, self.first_seen);
        while let Some(extent) = reader.next(&self.segments, seq, seen) {
            (seq, seen) = (extent.next_seq(), extent.seen);
            extents.push(extent);
        }
        extents
    }

    /// Whether its bytes say what its other fields say: after reading it back.
    pub fn is_whole(&self) -> bool {
        let extents = self.extents();
        let last = extents.last();
        extents.len() == self.count as usize && last.is_some_and(|last| last.next_seq() == self.next_seq)
    }

    /// The same without the extents of `segment`; `None` when nothing is left.
    pub fn without(&self, segment: SegmentId) -> Option<Self> {
        let mut left = self.extents().into_iter().filter(|extent| extent.segment != segment);
        let mut chunk = Self::new(self.number, &left.next()?);
        left.for_each(|extent| chunk.append(&extent));
        Some(chunk)
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a> {
    rest: &'a [u8],
    place: usize,
    ends: Vec<u64>,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn count(&mut self) -> Option<u32> {
        self.varint()?.try_into().ok()
    }

    /// `seq`: the number after the extent before; `seen`: its moment. `None` at the end, or where it does not read back.
    fn next(&mut self, segments: &[Share], seq: Seq, seen: Timestamp) -> Option<Extent> {
        let tag = self.byte()?;
        if tag & SEGMENT != 0 {
            self.place = usize::try_from(self.varint()?).ok()?;
        }
        let segment = segments.get(self.place)?.segment;
        let start = if tag & START != 0 { self.varint()? } else { self.ends[self.place] };
        let gap = if tag & GAP != 0 { self.varint()? } else { 0 };
        let end = start.wrapping_add(self.varint()?);
        let (events, blank, quarantined) =
            if tag & COUNTS != 0 { (self.count()?, self.count()?, self.count()?) } else { (1, 0, 0) };
        let moved = if tag & SEEN != 0 { self.varint()? } else { 0 };
        let moved = (moved >> 1).cast_signed() ^ -(moved & 1).cast_signed();
        self.ends[self.place] = end;
        let first_seq = seq.wrapping_add(gap);
        let seen = Timestamp(seen.0.wrapping_add(moved));
        Some(Extent { segment, start, end, first_seq, events, blank, quarantined, seen })
    }
}
