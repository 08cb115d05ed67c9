//! Reading the log for lanes that are behind, and the rows and payloads of retries that are due.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::doubt::{Cause, Doubt};
use crate::dispatch::{Input, Parked};
use crate::ingest::{LogReader, ReadError};
use crate::model::{Event, Extent, SegmentId, Seq, SubId, Timestamp};
use crate::routing::CompiledFilter;
use crate::store::{FilterEra, StateReader};

/// Events examined for one request at most, so that one lane's long search does not keep the others waiting.
const EXAMINED_MAX: usize = 8192;
/// Bytes of lines kept decoded: a lane takes a stretch in many small windows, and lanes that are behind often read the
/// same stretch.
const DECODED_BYTES_MAX: usize = 8 << 20;

/// What a lane asks for.
pub enum ReadRequest {
    Log { sub: SubId, from: Seq, upto: Seq, events_max: usize, bytes_max: usize },
    Due { sub: SubId, now: Timestamp, rows_max: usize },
}

/// The compiled filters of the eras that were met.
#[derive(Default)]
pub struct EraFilters(HashMap<(SubId, Seq), Arc<CompiledFilter>>);

impl EraFilters {
    /// The filter of `sub` in force at `seq`; `None` before its first era.
    pub fn at(&mut self, sub: SubId, eras: &[FilterEra], seq: Seq) -> Result<Option<Arc<CompiledFilter>>, Doubt> {
        let Some(era) = eras.iter().rev().find(|era| era.from_seq <= seq) else { return Ok(None) };
        if let Some(filter) = self.0.get(&(sub, era.from_seq)) {
            return Ok(Some(filter.clone()));
        }
        let filter = CompiledFilter::compile(&era.filter).map_err(|error| {
            let reason = format!("the stored filter of subscription {} does not compile: {error}", sub.0);
            Doubt { reason, cause: Cause::Io }
        })?;
        let filter = Arc::new(filter);
        self.0.insert((sub, era.from_seq), filter.clone());
        Ok(Some(filter))
    }
}

/// Stretches of the log that were read lately, the newest last.
#[derive(Default)]
struct Decoded {
    stretches: VecDeque<Stretch>,
    bytes: usize,
}

/// The kept events from `first` up to `end`.
#[derive(Clone)]
struct Stretch {
    first: Seq,
    end: Seq,
    events: Arc<[Arc<Event>]>,
    bytes: usize,
}

impl Decoded {
    /// The stretch that begins at `from` or holds it.
    fn at(&mut self, from: Seq, state: &StateReader, log: &LogReader) -> Result<Option<Stretch>, ReadError> {
        if let Some(kept) = self.stretches.iter().find(|kept| (kept.first..kept.end).contains(&from)) {
            return Ok(Some(kept.clone()));
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
        let bytes = events.iter().map(|event| event.line.len()).sum();
        let events = events.into_iter().map(Arc::new).collect();
        let stretch = Stretch { first: first.min(from), end, events, bytes };
        self.bytes += bytes;
        self.stretches.push_back(stretch.clone());
        while self.bytes > DECODED_BYTES_MAX && self.stretches.len() > 1 {
            let oldest = self.stretches.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| oldest.bytes);
        }
        Ok(Some(stretch))
    }
}

fn is_settled(group: &[Extent], segment: SegmentId, state: &StateReader) -> bool {
    let of_segment = group.iter().filter(|extent| extent.segment == segment);
    of_segment.map(Extent::next_seq).max() <= Some(state.ledger().settled_below())
}

/// Reads for lanes.
pub struct CatchUp {
    state: StateReader,
    log: Arc<LogReader>,
    filters: EraFilters,
    decoded: Decoded,
}

impl CatchUp {
    pub fn new(state: StateReader, log: Arc<LogReader>) -> Self {
        Self { state, log, filters: EraFilters::default(), decoded: Decoded::default() }
    }

    /// Answers one request. An error means that the log or the view does not read back: the line stops.
    pub fn answer<T>(&mut self, request: ReadRequest) -> Result<Input<T>, Doubt> {
        match request {
            ReadRequest::Log { sub, from, upto, events_max, bytes_max } => {
                self.read_log(sub, from, upto, events_max, bytes_max)
            }
            ReadRequest::Due { sub, now, rows_max } => self.read_due(sub, now, rows_max),
        }
    }

    fn read_log<T>(
        &mut self,
        sub: SubId,
        from: Seq,
        upto: Seq,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<Input<T>, Doubt> {
        let eras = self.state.ledger().lanes.get(&sub).map(|lane| lane.eras.clone()).unwrap_or_default();
        let mut found: Vec<Arc<Event>> = Vec::new();
        let mut next = from;
        let (mut bytes, mut examined) = (0, 0);
        'stretches: while next < upto {
            let Some(stretch) = self.decoded.at(next, &self.state, &self.log)? else {
                next = upto;
                break;
            };
            let unread = stretch.events.partition_point(|event| event.seq < next);
            for event in &stretch.events[unread..] {
                let takes = match self.filters.at(sub, &eras, event.seq)? {
                    Some(filter) => filter.matches(event),
                    None => false,
                };
                let full = found.len() >= events_max || (!found.is_empty() && bytes + event.line.len() > bytes_max);
                if event.seq >= upto || (takes && full) || examined >= EXAMINED_MAX {
                    break 'stretches;
                }
                examined += 1;
                next = event.seq + 1;
                if takes {
                    bytes += event.line.len();
                    found.push(event.clone());
                }
            }
            next = next.max(stretch.end);
        }
        Ok(Input::LogRead { sub, events: found, next })
    }

    fn read_due<T>(&mut self, sub: SubId, now: Timestamp, rows_max: usize) -> Result<Input<T>, Doubt> {
        let mut rows = Vec::new();
        let mut next_due = None;
        for parked in self.state.view.parked(sub) {
            let (key, due) = parked?;
            if due > now || rows.len() >= rows_max {
                next_due = Some(due);
                break;
            }
            let Some(row) = self.state.view.exception(key)? else { continue };
            let event = match self.log.event_at(row.facts.position, key.seq, row.facts.seen) {
                Ok(event) => event,
                Err(error @ ReadError::Io { .. }) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(event_id = row.facts.event_id, %error, "a delivery's payload is damaged; it ends here");
                    None
                }
            };
            rows.push(Parked { key, row, event: event.map(Arc::new) });
        }
        Ok(Input::DueRead { sub, rows, next_due })
    }
}
