//! Reading the log for lanes that are behind, and the rows and payloads of retries that are due.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::doubt::{Cause, Doubt};
use crate::dispatch::{Input, Parked};
use crate::ingest::{LogReader, ReadError};
use crate::model::{Event, Extent, Seq, SubId, Timestamp};
use crate::routing::CompiledFilter;
use crate::store::{FilterEra, StateReader};

/// Events examined for one request at most, so that one lane's long search does not keep the others waiting.
const EXAMINED_MAX: usize = 8192;
const EXTENTS_AT_ONCE: usize = 64;
/// Bytes of lines kept decoded: a lane takes an extent in many small windows, and lanes that are behind often read the
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

/// Extents whose events were read lately, the newest last.
#[derive(Default)]
struct Decoded {
    extents: VecDeque<(Extent, Arc<[Arc<Event>]>)>,
    bytes: usize,
}

impl Decoded {
    fn get(&mut self, extent: &Extent, log: &LogReader) -> Result<Arc<[Arc<Event>]>, ReadError> {
        if let Some((_, events)) = self.extents.iter().find(|(kept, _)| kept == extent) {
            return Ok(events.clone());
        }
        let events = log.read(extent, extent.first_seq)?;
        let events: Arc<[Arc<Event>]> = events.into_iter().map(Arc::new).collect();
        self.bytes += bytes_of(extent);
        self.extents.push_back((*extent, events.clone()));
        while self.bytes > DECODED_BYTES_MAX && self.extents.len() > 1 {
            let oldest = self.extents.pop_front();
            self.bytes -= oldest.map_or(0, |(extent, _)| bytes_of(&extent));
        }
        Ok(events)
    }
}

fn bytes_of(extent: &Extent) -> usize {
    usize::try_from(extent.end - extent.start).unwrap_or(usize::MAX)
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
        let (eras, extents) = {
            let ledger = self.state.ledger();
            let eras = ledger.lanes.get(&sub).map(|lane| lane.eras.clone()).unwrap_or_default();
            (eras, ledger.extents_from(from, EXTENTS_AT_ONCE))
        };
        let mut found: Vec<Arc<Event>> = Vec::new();
        let mut next = from;
        let (mut bytes, mut examined) = (0, 0);
        'extents: for extent in extents.iter().filter(|extent| extent.first_seq < upto) {
            let events = match self.decoded.get(extent, &self.log) {
                Ok(events) => events,
                // Retention has just removed what no lane needs, and its record is on the way to the journal.
                Err(ReadError::Gone { .. }) if extent.next_seq() <= self.state.ledger().settled_below() => {
                    next = extent.next_seq();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let unread = events.partition_point(|event| event.seq < next);
            for event in &events[unread..] {
                let takes = match self.filters.at(sub, &eras, event.seq)? {
                    Some(filter) => filter.matches(event),
                    None => false,
                };
                let full = found.len() >= events_max || (!found.is_empty() && bytes + event.line.len() > bytes_max);
                if event.seq >= upto || (takes && full) || examined >= EXAMINED_MAX {
                    break 'extents;
                }
                examined += 1;
                next = event.seq + 1;
                if takes {
                    bytes += event.line.len();
                    found.push(event.clone());
                }
            }
        }
        if extents.is_empty() {
            next = upto;
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
