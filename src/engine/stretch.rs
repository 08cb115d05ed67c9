//! Stretches of the log, decoded once for all lanes that are behind, and sorted by who may want what.
//!
//! Lanes that are behind usually read the same stretches one shortly after the other. Events of one tenant and type are of
//! one *kind*; who takes a kind is asked of the index of all subscriptions, once for a stretch, so that a thousand lanes
//! do not each look at every event.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::catchup::EraFilters;
use super::doubt::Doubt;
use crate::ingest::{LogReader, ReadError};
use crate::model::{Event, Extent, SegmentId, Seq, SubId};
use crate::routing::{CompiledFilter, Router};
use crate::store::StateReader;

/// Bytes of lines kept decoded: a lane takes a stretch in many small windows.
const DECODED_BYTES_MAX: usize = 16 << 20;
/// A stretch that more pairs of subscription and kind belong to than this is not sorted by subscription.
const TAKERS_MAX: usize = 1 << 16;

/// The kept events from `first` up to `end`.
pub(super) struct Stretch {
    first: Seq,
    pub(super) end: Seq,
    pub(super) events: Vec<Arc<Event>>,
    bytes: usize,
    /// The places of the events of each kind, rising.
    kinds: Vec<Vec<u32>>,
    /// Which kinds a subscription may take, as those routes say; nothing if that is too much to keep.
    takers: Option<HashMap<SubId, Vec<u32>>>,
    routed: u64,
}

impl Stretch {
    fn new(first: Seq, end: Seq, events: Vec<Event>) -> Self {
        let bytes = events.iter().map(|event| event.line.len()).sum();
        let events: Vec<_> = events.into_iter().map(Arc::new).collect();
        let mut known: HashMap<(&str, &str), usize> = HashMap::new();
        let mut kinds: Vec<Vec<u32>> = Vec::new();
        for (place, event) in (0..).zip(&events) {
            let kind = *known.entry((&event.tenant, &event.event_type)).or_insert(kinds.len());
            if kind == kinds.len() {
                kinds.push(Vec::new());
            }
            kinds[kind].push(place);
        }
        Self { first, end, events, bytes, kinds, takers: None, routed: 0 }
    }

    fn route(&mut self, routes: &Routes) {
        (self.takers, self.routed) = (None, routes.version);
        let mut takers: HashMap<SubId, Vec<u32>> = HashMap::new();
        let (mut candidates, mut pairs) = (Vec::new(), 0);
        for (kind, places) in (0..).zip(&self.kinds) {
            routes.router.candidates(&self.events[places[0] as usize], &mut candidates);
            pairs += candidates.len();
            if pairs > TAKERS_MAX {
                return;
            }
            candidates.iter().for_each(|sub| takers.entry(*sub).or_default().push(kind));
        }
        self.takers = Some(takers);
    }

    /// The places of the events numbered `from` up to `upto` that `sub` may take, rising. `filter` is the one in force then.
    pub(super) fn candidates(
        &mut self,
        sub: SubId,
        filter: &CompiledFilter,
        routes: Option<&Routes>,
        (from, upto): (Seq, Seq),
    ) -> Vec<u32> {
        let place = |seq| u32::try_from(self.events.partition_point(|event| event.seq < seq)).unwrap_or(u32::MAX);
        let within = place(from)..place(upto);
        if let Some(routes) = routes.filter(|routes| routes.version != self.routed) {
            self.route(routes);
        }
        let mut found = Vec::new();
        let mut take = |kind: &Vec<u32>| {
            let start = kind.partition_point(|place| *place < within.start);
            found.extend(kind[start..].iter().take_while(|place| **place < within.end));
        };
        match self.takers.as_ref().filter(|_| routes.is_some()) {
            Some(takers) => {
                takers.get(&sub).into_iter().flatten().for_each(|kind| take(&self.kinds[*kind as usize]));
            }
            None => {
                let may_take = |kind: &&Vec<u32>| filter.may_match(&self.events[kind[0] as usize]);
                self.kinds.iter().filter(may_take).for_each(&mut take);
            }
        }
        found.sort_unstable();
        found
    }
}

/// Stretches of the log that were read lately, the newest last.
#[derive(Default)]
pub(super) struct Decoded {
    stretches: VecDeque<Stretch>,
    bytes: usize,
}

impl Decoded {
    /// The stretch that begins at `from` or holds it.
    pub(super) fn at(
        &mut self,
        from: Seq,
        state: &StateReader,
        log: &LogReader,
    ) -> Result<Option<&mut Stretch>, ReadError> {
        if let Some(at) = self.stretches.iter().position(|kept| (kept.first..kept.end).contains(&from)) {
            return Ok(self.stretches.get_mut(at));
        }
        let Some(mut group) = state.ledger().extents.group_from(from) else { return Ok(None) };
        group.retain(|extent| extent.next_seq() > from);
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(None) };
        let (first, end) = (first.first_seq, last.next_seq());
        let events = loop {
            match log.read_all(&group) {
                // Retention has just removed what no lane needs, and its record is on the way to the journal.
                Err(ReadError::Gone { segment }) if is_settled(&group, segment, state) => {
                    group.retain(|extent| extent.segment != segment);
                }
                read => break read?,
            }
        };
        let stretch = Stretch::new(first.min(from), end, events);
        self.bytes += stretch.bytes;
        while self.bytes > DECODED_BYTES_MAX && !self.stretches.is_empty() {
            let oldest = self.stretches.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| oldest.bytes);
        }
        self.stretches.push_back(stretch);
        Ok(self.stretches.back_mut())
    }
}

fn is_settled(group: &[Extent], segment: SegmentId, state: &StateReader) -> bool {
    let of_segment = group.iter().filter(|extent| extent.segment == segment);
    of_segment.map(Extent::next_seq).max() <= Some(state.ledger().settled_below())
}

/// The index of the filters that are in force now.
#[derive(Default)]
pub(super) struct Routes {
    router: Router,
    filters: HashMap<SubId, Arc<CompiledFilter>>,
    version: u64,
}

impl Routes {
    /// Whether this is the filter of `sub` they know.
    pub(super) fn know(&self, sub: SubId, filter: &Arc<CompiledFilter>) -> bool {
        self.filters.get(&sub).is_some_and(|known| Arc::ptr_eq(known, filter))
    }

    pub(super) fn renew(&mut self, state: &StateReader, filters: &mut EraFilters) -> Result<(), Doubt> {
        // Compiled without the ledger in hand: the committer needs it.
        let newest: Vec<_> =
            state.ledger().lanes.iter().filter_map(|(sub, lane)| Some((*sub, lane.eras.last()?.clone()))).collect();
        self.filters.clear();
        for (sub, era) in &newest {
            self.filters.insert(*sub, filters.of(*sub, era)?);
        }
        self.router = Router::build(self.filters.iter().map(|(sub, filter)| (*sub, filter.clone())).collect());
        self.version += 1;
        Ok(())
    }
}
