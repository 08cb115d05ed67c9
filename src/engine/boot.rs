//! From what is on disk to parts that are ready to run: settles what a crash left, and puts the configured subscriptions in
//! force. No thread is started and nothing is sent here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::intake::{accept, count_past, decode_cursor};
use super::lanes::{InForce, plan, settle_claims};
use super::mend::{doubt_parked, gone_segments, write_off};
use super::messages::Routing;
use super::running::EngineError;
use super::schedule::apply_lanes;
use crate::dispatch::{CrewSize, Scheduler};
use crate::env::Files;
use crate::ingest::{Ingest, IngestSettings, LogReader, Lost, Resume};
use crate::model::{SegmentId, Subscription, Timestamp};
use crate::routing::CompiledFilter;
use crate::store::{Barrier, Ledger, Opened, Record, State};

/// Files named in one sentence at most.
const NAMES_MAX: usize = 5;

/// The parts that know what happened before.
pub(super) struct Booted<T> {
    pub state: State,
    pub ingest: Ingest,
    pub log: Arc<LogReader>,
    pub scheduler: Scheduler<T>,
    pub routing: Routing,
    /// What was found missing or damaged, and what was done about it, in sentences.
    pub notices: Vec<String>,
    /// When schedules go on: now, unless the clock was set back since something was parked: it is due by the clock of then.
    pub begins: Timestamp,
}

/// Makes the parts from the open state and the spool. `wanted` are the configured subscriptions.
pub(super) fn boot<T>(
    (mut state, opened): (State, &Opened),
    settings: IngestSettings,
    files: Arc<dyn Files>,
    wanted: &[(Arc<Subscription>, Arc<T>)],
    crew: CrewSize,
    now: Timestamp,
) -> Result<Booted<T>, EngineError> {
    let reader = state.reader();
    let mut notices = opened.notices.clone();
    let forgot = opened.forgot_claims();
    let mut resume = resume(&reader.ledger()).map_err(EngineError::Setup)?;
    if forgot {
        let pinned = reader.view.pinned_segments().map_err(|error| EngineError::State(error.into()))?;
        resume.lost = Some(Lost { pinned });
    }
    let mut ingest = Ingest::open(settings, files, resume, now)?;
    let log = Arc::new(ingest.reader());
    let mut cursors = Vec::new();
    if forgot && !ingest.is_new() {
        let batches = ingest.copy_past_logs(now)?.into_iter();
        cursors.extend(batches.flat_map(|batch| accept(batch, &Routing::default()).0));
    }
    let newest = if forgot { ingest.newest_segment() } else { None };
    let barrier = newest.map(|upto| Barrier { upto, open: ingest.open_lengths() });
    if opened.fresh && barrier.is_some() {
        notices.push(
            format!(
                "there is no state in {}, though events were taken in from this spool before: everything that is kept is \
                 sent again to at-least-once subscriptions, and unknown to at-most-once ones. If the state directory was \
                 moved, or [state] dir names another one by mistake, stop the engine and put it right",
                state.dir().display()
            ),
        );
    }
    let mut records = vec![Record::Started { at: now, barrier }];
    records.extend(cursors);
    records.extend(settle_claims(&reader.ledger()));
    if forgot {
        records.extend(doubt_parked(&reader, wanted, now)?);
    }
    let (mut gone, has_waiting) = gone_segments(&reader, &log);
    if has_waiting {
        let names: Vec<_> = gone.iter().take(NAMES_MAX).map(SegmentId::to_string).collect();
        let more = if gone.len() > NAMES_MAX { format!(" and {} more", gone.len() - NAMES_MAX) } else { String::new() };
        notices.push(format!(
            "{} files of the spool are gone, and events that somebody waited for were in them: {}{more}",
            gone.len(),
            names.join(", ")
        ));
    }
    gone.extend(reader.ledger().extents.segments().intersection(ingest.brought_back()));
    records.extend(gone.into_iter().map(|segment| Record::Purged { segment, at: now }));
    state.commit(&records)?;
    if has_waiting || (forgot && !opened.fresh) {
        let (records, sentences) = write_off(&reader, &log, now)?;
        notices.extend(sentences);
        state.commit(&records)?;
    }
    state.answered()?;

    let ledger = reader.ledger().clone();
    let past = |filter: &CompiledFilter, from| count_past(&ledger, &log, filter, from, &|| ());
    let begins = now.max(last_scheduled(&ledger));
    let nothing = InForce { lanes: &HashSet::new(), routing: &Routing::default() };
    let plan =
        plan(&ledger, wanted, nothing, now, &past, &|sub| reader.view.ordered(sub)).map_err(EngineError::Setup)?;
    state.commit(&plan.records)?;

    let (tail, barrier) = {
        let ledger = reader.ledger();
        (ledger.next_seq, ledger.barrier.clone())
    };
    let mut scheduler = Scheduler::new(crew, tail, barrier);
    apply_lanes(&mut scheduler, plan.lanes, begins);
    Ok(Booted { state, ingest, log, scheduler, routing: plan.routing, notices, begins })
}

fn resume(ledger: &Ledger) -> Result<Resume, String> {
    let mut consumed: HashMap<SegmentId, u64> = HashMap::new();
    for (segment, end) in ledger.extents.ends() {
        let known = consumed.entry(segment).or_default();
        *known = end.max(*known);
    }
    let log_cursors = ledger.sources.values().map(|bytes| decode_cursor(bytes)).collect::<Result<_, _>>()?;
    let last_segment = consumed.keys().max().copied();
    Ok(Resume { next_seq: ledger.next_seq, consumed, log_cursors, last_segment, lost: None })
}

/// When schedules were at the latest, as far as a parked delivery tells; nothing, when none is.
fn last_scheduled(ledger: &Ledger) -> Timestamp {
    let has_parked = ledger.lanes.values().any(|lane| lane.parked > 0);
    if has_parked { ledger.scheduled } else { Timestamp::default() }
}
