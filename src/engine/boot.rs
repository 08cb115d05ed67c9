//! From what is on disk to parts that are ready to run: settles what a crash left, and puts the configured subscriptions in
//! force. No thread is started and nothing is sent here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::intake::{count_past, decode_cursor};
use super::lanes::{plan, settle_claims};
use super::messages::Routing;
use super::running::EngineError;
use super::schedule::apply_lanes;
use crate::dispatch::Scheduler;
use crate::env::Files;
use crate::ingest::{Ingest, IngestSettings, LogReader, Resume};
use crate::model::{SegmentId, Subscription, Timestamp};
use crate::routing::CompiledFilter;
use crate::store::{Ledger, Opened, Record, State};

/// The parts that know what happened before.
pub(super) struct Booted<T> {
    pub state: State,
    pub ingest: Ingest,
    pub log: Arc<LogReader>,
    pub scheduler: Scheduler<T>,
    pub routing: Routing,
}

/// Makes the parts from the open state and the spool. `wanted` are the configured subscriptions.
pub(super) fn boot<T>(
    (mut state, opened): (State, &Opened),
    settings: IngestSettings,
    files: Arc<dyn Files>,
    wanted: &[(Arc<Subscription>, Arc<T>)],
    workers: usize,
    now: Timestamp,
) -> Result<Booted<T>, EngineError> {
    let reader = state.reader();
    let resume = resume(&reader.ledger()).map_err(EngineError::Setup)?;
    let ingest = Ingest::open(settings, files, resume, now)?;
    let log = Arc::new(ingest.reader());
    let barrier = if opened.forgot_claims() { ingest.newest_segment() } else { None };
    let mut records = vec![Record::Started { at: now, barrier }];
    records.extend(settle_claims(&reader.ledger()));
    let kept: BTreeSet<SegmentId> = reader.ledger().extents.iter().map(|extent| extent.segment).collect();
    for segment in kept.into_iter().filter(|segment| !log.is_kept(*segment)) {
        tracing::warn!(%segment, "the file of this segment is gone; what still waited in it cannot be sent");
        records.push(Record::Purged { segment, at: now });
    }
    state.commit(&records)?;
    state.answered()?;

    let ledger = reader.ledger().clone();
    let past = |filter: &CompiledFilter, from| count_past(&ledger, &log, filter, from);
    let plan = plan(&ledger, wanted, &HashSet::new(), now, &past).map_err(EngineError::Setup)?;
    state.commit(&plan.records)?;

    let (tail, barrier) = {
        let ledger = reader.ledger();
        (ledger.next_seq, ledger.barrier)
    };
    let mut scheduler = Scheduler::new(workers, tail, barrier);
    apply_lanes(&mut scheduler, plan.lanes, now);
    Ok(Booted { state, ingest, log, scheduler, routing: plan.routing })
}

fn resume(ledger: &Ledger) -> Result<Resume, String> {
    let mut consumed: HashMap<SegmentId, u64> = HashMap::new();
    for extent in &ledger.extents {
        let end = consumed.entry(extent.segment).or_default();
        *end = extent.end.max(*end);
    }
    let log_cursors = ledger.sources.values().map(|bytes| decode_cursor(bytes)).collect::<Result<_, _>>()?;
    let last_segment = ledger.extents.iter().map(|extent| extent.segment).max();
    Ok(Resume { next_seq: ledger.next_seq, consumed, log_cursors, last_segment })
}
