//! Every kept stretch of the log, in the order they were taken: a million single lines cost about five megabytes. Pure.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::chunk::{Chunk, Share};
use crate::model::{Extent, SegmentId, Seq, Timestamp};

/// Bytes of lines in one group of extents; a longer extent is a group of its own.
const GROUP_BYTES: u64 = 256 << 10;

/// The extents. Copies share what does not change any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extents {
    chunks: VecDeque<Arc<Chunk>>,
}

impl Extents {
    /// Takes up chunks that were kept, in order of their numbers.
    pub(super) fn of_chunks(chunks: Vec<Chunk>) -> Self {
        Self { chunks: chunks.into_iter().map(Arc::new).collect() }
    }

    /// Appends one.
    pub(super) fn push(&mut self, extent: &Extent) {
        if !self.chunks.back_mut().is_some_and(|last| Arc::make_mut(last).push(extent)) {
            let number = self.last_chunk().map_or(0, |last| last + 1);
            self.chunks.push_back(Arc::new(Chunk::new(number, extent)));
        }
    }

    /// Forgets a segment.
    pub(super) fn purge(&mut self, segment: SegmentId) {
        self.chunks = std::mem::take(&mut self.chunks)
            .into_iter()
            .filter_map(|chunk| if chunk.holds(segment) { chunk.without(segment).map(Arc::new) } else { Some(chunk) })
            .collect();
    }

    /// The chunk of that number, unless all of it is purged.
    pub(super) fn chunk(&self, number: u64) -> Option<&Chunk> {
        let at = self.chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
        self.chunks.get(at).map(|chunk| &**chunk)
    }

    pub(super) fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    /// Number of the chunk that was written last.
    pub(super) fn last_chunk(&self) -> Option<u64> {
        self.chunks.back().map(|chunk| chunk.number)
    }

    /// Numbers of the chunks that speak of `segment`.
    pub(super) fn chunks_of(&self, segment: SegmentId) -> impl Iterator<Item = u64> {
        self.chunks.iter().filter(move |chunk| chunk.holds(segment)).map(|chunk| chunk.number)
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Extent> {
        self.chunks.iter().flat_map(|chunk| chunk.extents())
    }

    /// Those of one segment, in order of their places.
    pub fn of(&self, segment: SegmentId) -> impl Iterator<Item = Extent> {
        let chunks = self.chunks.iter().filter(move |chunk| chunk.holds(segment));
        chunks.flat_map(|chunk| chunk.extents()).filter(move |extent| extent.segment == segment)
    }

    /// The sequence number of the oldest event that is kept, or that the oldest extent stands before.
    pub fn first_seq(&self) -> Option<Seq> {
        self.chunks.front().map(|chunk| chunk.first_seq)
    }

    /// When the newest event was first seen.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.iter().rev().find(|extent| extent.events > 0).map(|extent| extent.seen)
    }

    fn shares(&self) -> impl Iterator<Item = &Share> {
        self.chunks.iter().flat_map(|chunk| chunk.segments())
    }

    /// The segments that something is kept of.
    pub fn segments(&self) -> BTreeSet<SegmentId> {
        self.shares().map(|share| share.segment).collect()
    }

    /// How far each segment was taken, some of them several times.
    pub fn ends(&self) -> impl Iterator<Item = (SegmentId, u64)> {
        self.shares().map(|share| (share.segment, share.end))
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.shares().map(|share| share.bytes).sum()
    }

    /// The segments that hold events from `from` on.
    pub fn segments_from(&self, from: Seq) -> BTreeSet<SegmentId> {
        let start = self.chunks.partition_point(|chunk| chunk.next_seq <= from);
        let mut found = BTreeSet::new();
        for chunk in self.chunks.range(start..) {
            if chunk.first_seq >= from {
                found.extend(chunk.segments().iter().filter(|share| share.events > 0).map(|share| share.segment));
            } else {
                let extents = chunk.extents().into_iter();
                found.extend(extents.filter(|e| e.events > 0 && e.next_seq() > from).map(|extent| extent.segment));
            }
        }
        found
    }

    /// All of them in groups that are read in one go, a few hundred kilobytes each.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = Vec<Extent>> {
        self.chunks.iter().flat_map(|chunk| groups(chunk.extents()))
    }

    /// The group that holds the first event from `from` on.
    pub fn group_from(&self, from: Seq) -> Option<Vec<Extent>> {
        let start = self.chunks.partition_point(|chunk| chunk.next_seq <= from);
        let mut groups = self.chunks.range(start..).flat_map(|chunk| groups(chunk.extents()));
        groups.find(|group| group.iter().any(|extent| extent.events > 0 && extent.next_seq() > from))
    }
}

/// Cuts the extents of a chunk into groups.
fn groups(extents: Vec<Extent>) -> Vec<Vec<Extent>> {
    let mut groups: Vec<Vec<Extent>> = Vec::new();
    let mut room = 0;
    for extent in extents {
        let bytes = extent.end - extent.start;
        match groups.last_mut().filter(|_| bytes <= room) {
            Some(group) => {
                group.push(extent);
                room -= bytes;
            }
            None => {
                groups.push(vec![extent]);
                room = GROUP_BYTES.saturating_sub(bytes);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Extents as taking in makes them: numbered densely, those of one segment touching, with gaps where records are lost.
    fn taken() -> impl Strategy<Value = Vec<Extent>> {
        let one = (0..5u128, 1..5000u64, 0..4u32, 0..3u32, -2..2000i64, prop::bool::weighted(0.02));
        prop::collection::vec(one, 1..1500).prop_map(|all| {
            let (mut ends, mut seq, mut seen) = ([3u64; 5], 1, 1_773_309_600_000);
            let extent = |(segment, len, events, blank, later, is_lost): (u128, u64, u32, u32, i64, bool)| {
                let end = &mut ends[usize::try_from(segment).unwrap()];
                let start = *end + u64::from(is_lost) * 77;
                *end = start + len;
                seen += later;
                let first_seq = seq + u64::from(is_lost) * 9;
                seq = first_seq + u64::from(events);
                let segment = SegmentId(segment << 64 | 7);
                let quarantined = u32::from(events + blank == 0);
                Extent { segment, start, end: *end, first_seq, events, blank, quarantined, seen: Timestamp(seen) }
            };
            all.into_iter().map(extent).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn extents_are_what_was_put_in(
            all in taken(),
            purged in prop::collection::btree_set(0..5u128, 0..3),
            from in any::<prop::sample::Index>(),
        ) {
            let mut extents = Extents::default();
            let purged: Vec<_> = purged.into_iter().map(|id| SegmentId(id << 64 | 7)).collect();
            let (before, after) = all.split_at(all.len() / 2);
            before.iter().for_each(|extent| extents.push(extent));
            purged.iter().for_each(|segment| extents.purge(*segment));
            after.iter().for_each(|extent| extents.push(extent));
            let gone = |extent: &&Extent| !purged.contains(&extent.segment);
            let kept: Vec<Extent> = before.iter().filter(gone).chain(after).copied().collect();
            prop_assert_eq!(extents.iter().collect::<Vec<_>>(), kept.clone());
            prop_assert_eq!(extents.groups().flatten().collect::<Vec<_>>(), kept.clone());
            prop_assert_eq!(extents.bytes(), kept.iter().map(|extent| extent.end - extent.start).sum::<u64>());
            let from = from.index(all.last().map_or(1, |extent| extent.next_seq() as usize)) as Seq;
            let wanted: Vec<_> =
                kept.iter().filter(|extent| extent.events > 0 && extent.next_seq() > from).copied().collect();
            prop_assert_eq!(extents.segments_from(from), wanted.iter().map(|extent| extent.segment).collect());
            let group = extents.group_from(from).unwrap_or_default();
            prop_assert_eq!(group.iter().find(|e| e.events > 0 && e.next_seq() > from), wanted.first());
            for segment in kept.iter().map(|extent| extent.segment).take(3) {
                let own: Vec<_> = kept.iter().filter(|extent| extent.segment == segment).copied().collect();
                prop_assert_eq!(extents.of(segment).collect::<Vec<_>>(), own);
            }
            let stored: Vec<Chunk> = extents.chunks.iter().map(|chunk| Chunk::clone(chunk)).collect();
            prop_assert!(stored.iter().all(Chunk::is_whole));
            prop_assert_eq!(Extents::of_chunks(stored), extents);
        }
    }

    #[test]
    fn single_lines_cost_a_few_bytes_each() {
        let mut extents = Extents::default();
        for n in 0..100_000u64 {
            let extent = Extent {
                segment: SegmentId(9),
                start: n * 512,
                end: n * 512 + 512,
                first_seq: n + 1,
                events: 1,
                blank: 0,
                quarantined: 0,
                seen: Timestamp(1_773_309_600_000 + (n as i64) * 5),
            };
            extents.push(&extent);
        }
        let bytes: usize = extents.chunks.iter().map(|chunk| super::super::rows::seal(&**chunk).len()).sum();
        assert!(bytes < 600_000, "{bytes} bytes");
    }
}
