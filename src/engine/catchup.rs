//! Reading the log for lanes that are behind, and the rows and payloads of retries that are due.

use std::collections::HashMap;
use std::sync::Arc;

use super::doubt::{Cause, Doubt};
use super::stretch::{Decoded, Routes};
use crate::dispatch::{Input, Parked};
use crate::ingest::{LogReader, ReadError};
use crate::model::{Event, Filter, Seq, SubId, Timestamp};
use crate::routing::CompiledFilter;
use crate::store::{FilterEra, StateReader};

/// Events examined for one request at most, and no further stretch once something was found: one lane's long search does
/// not keep the others waiting, and lanes that are behind stay together.
const EXAMINED_MAX: Seq = 8192;

/// What a lane asks for.
pub enum ReadRequest {
    Log { sub: SubId, from: Seq, upto: Seq, events_max: usize, bytes_max: usize },
    Due { sub: SubId, now: Timestamp, rows_max: usize },
}

/// The compiled filters of the eras that were met.
#[derive(Default)]
pub struct EraFilters(HashMap<(SubId, Seq), (Filter, Arc<CompiledFilter>)>);

impl EraFilters {
    /// The filter of `sub` in force at `seq`; `None` before its first era.
    pub fn at(&mut self, sub: SubId, eras: &[FilterEra], seq: Seq) -> Result<Option<Arc<CompiledFilter>>, Doubt> {
        let era = eras.iter().rev().find(|era| era.from_seq <= seq);
        era.map(|era| self.of(sub, era)).transpose()
    }

    /// The filter of an era.
    pub(super) fn of(&mut self, sub: SubId, era: &FilterEra) -> Result<Arc<CompiledFilter>, Doubt> {
        // Two eras may begin at one event; the later counts.
        if let Some((_, filter)) = self.0.get(&(sub, era.from_seq)).filter(|(filter, _)| *filter == era.filter) {
            return Ok(filter.clone());
        }
        let filter = CompiledFilter::compile(&era.filter).map_err(|error| {
            let reason = format!("the stored filter of subscription {} does not compile: {error}", sub.0);
            Doubt { reason, cause: Cause::Io }
        })?;
        let filter = Arc::new(filter);
        self.0.insert((sub, era.from_seq), (era.filter.clone(), filter.clone()));
        Ok(filter)
    }
}

/// Reads for lanes.
pub struct CatchUp {
    state: StateReader,
    log: Arc<LogReader>,
    filters: EraFilters,
    decoded: Decoded,
    routes: Routes,
}

impl CatchUp {
    pub fn new(state: StateReader, log: Arc<LogReader>) -> Self {
        Self { state, log, filters: EraFilters::default(), decoded: Decoded::default(), routes: Routes::default() }
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
        let mut found: Vec<Arc<Event>> = Vec::new();
        let mut next = from;
        let (mut bytes, mut examined) = (0, 0);
        'log: while next < upto {
            let Some(stretch) = self.decoded.at(next, &self.state, &self.log)? else {
                next = upto;
                break;
            };
            // One filter holds up to here.
            let mut end = upto.min(stretch.end);
            let (era, is_newest) = {
                let ledger = self.state.ledger();
                let eras = ledger.lanes.get(&sub).map_or(&[][..], |lane| &lane.eras);
                let later = eras.partition_point(|era| era.from_seq <= next);
                end = eras.get(later).map_or(end, |era| end.min(era.from_seq));
                (later.checked_sub(1).map(|era| eras[era].clone()), later == eras.len())
            };
            examined += end - next;
            let Some(era) = era else {
                next = end;
                if examined >= EXAMINED_MAX {
                    break;
                }
                continue;
            };
            let filter = self.filters.of(sub, &era)?;
            if is_newest && !self.routes.know(sub, &filter) {
                self.routes.renew(&self.state, &mut self.filters)?;
            }
            let routes = is_newest.then_some(&self.routes);
            for place in stretch.candidates(sub, &filter, routes, (next, end)) {
                let event = &stretch.events[place as usize];
                if !filter.matches(event) {
                    continue;
                }
                if found.len() >= events_max || (!found.is_empty() && bytes + event.line.len() > bytes_max) {
                    next = event.seq;
                    break 'log;
                }
                bytes += event.line.len();
                found.push(event.clone());
            }
            next = end;
            if !found.is_empty() || examined >= EXAMINED_MAX {
                break;
            }
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
                    tracing::error!(event_id = row.facts.event_id.as_str(), %error, "a delivery's payload is damaged; it ends here");
                    None
                }
            };
            rows.push(Parked { key, row, event: event.map(Arc::new) });
        }
        Ok(Input::DueRead { sub, rows, next_due })
    }
}
