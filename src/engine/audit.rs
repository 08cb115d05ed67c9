//! The books, recomputed from the files and the state and compared with what the engine believes.
//!
//! For the spool: every kept extent is read again and must hold the events it says; the totals must add up. For each
//! subscription: pending deliveries are counted where they lie (unjudged events of the log, parked rows), failed and unknown
//! ones by their rows, delivered ones from the journal as far as it reaches back, and all of it must match the counters.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use crossbeam_channel::bounded;

use super::catchup::EraFilters;
use super::messages::{Entry, Then};
use super::running::Shared;
use crate::admin::api::{self, SubscriptionBooks};
use crate::ingest::LogReader;
use crate::model::{Seq, SubId};
use crate::store::{ExceptionStatus, Ledger, Record, StateReader, Verdict, ViewError};

/// Rows counted by status for each subscription.
type Rows = BTreeMap<SubId, [u64; 3]>;

/// The state between two commits.
struct Snapshot {
    ledger: Ledger,
    rows: Rows,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the engine has stopped")]
    Stopped,
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("read the history: {0}")]
    History(#[from] crate::store::JournalError),
    #[error("{0}")]
    Filter(String),
}

fn snapshot(state: &StateReader) -> Result<Snapshot, AuditError> {
    let ledger = state.ledger().clone();
    let mut rows = Rows::new();
    for sub in ledger.lanes.keys() {
        let counts = rows.entry(*sub).or_default();
        for row in state.view.exceptions(*sub) {
            match row?.1.status {
                ExceptionStatus::Parked => counts[0] += 1,
                ExceptionStatus::Failed => counts[1] += 1,
                ExceptionStatus::Unknown => counts[2] += 1,
                ExceptionStatus::Delivered => {}
            }
        }
    }
    Ok(Snapshot { ledger, rows })
}

/// Audits a running engine. The snapshot is taken between two commits; reading goes on beside the work.
pub(super) fn online(shared: &Shared) -> Result<api::Books, AuditError> {
    let _retention_waits = shared.audits.read().unwrap_or_else(PoisonError::into_inner);
    let (answer, wait) = bounded(1);
    let look = Then::Inspect(Box::new(move |state: &crate::store::State| {
        let _ = answer.send(snapshot(&state.reader()));
    }));
    shared.entries.send(Entry::new(Vec::new(), look)).map_err(|_| AuditError::Stopped)?;
    let snapshot = wait.recv().map_err(|_| AuditError::Stopped)??;
    compare(&snapshot, &shared.state, &shared.log)
}

/// Audits a state that no engine uses.
pub fn offline(state: &StateReader, log: &LogReader) -> Result<api::Books, AuditError> {
    compare(&snapshot(state)?, state, log)
}

fn compare(snapshot: &Snapshot, state: &StateReader, log: &LogReader) -> Result<api::Books, AuditError> {
    let ledger = &snapshot.ledger;
    let mut differences = Vec::new();
    let spool = ledger.spool;
    if spool.lines != spool.events + spool.blank + spool.quarantined {
        differences.push(format!(
            "spool: {} lines are not {} events + {} blank + {} quarantined",
            spool.lines, spool.events, spool.blank, spool.quarantined
        ));
    }
    let waiting = waiting_in_log(ledger, log, &mut differences)?;
    let delivered = delivered_in_history(ledger, state)?;
    for (sub, lane) in &ledger.lanes {
        let books = lane.books;
        let [parked, failed, unknown] = snapshot.rows.get(sub).copied().unwrap_or_default();
        let name = format!("{}/{}", lane.tenant, lane.name);
        let mut expect = |what: &str, counted: u64, kept: u64| {
            if counted != kept {
                differences.push(format!("{name}: {counted} {what}, the books say {kept}"));
            }
        };
        expect("deliveries wait in the log", waiting.get(sub).copied().unwrap_or(0), lane.waiting());
        expect("deliveries are parked", parked, lane.parked);
        expect("deliveries are failed", failed, books.failed);
        expect("deliveries are unknown", unknown, books.unknown);
        if let Some(delivered) = &delivered {
            let counted = delivered.get(sub).copied().unwrap_or(0);
            expect("deliveries were delivered", u64::try_from(counted).unwrap_or(0), books.delivered);
        }
    }
    Ok(api::Books {
        spool: api::SpoolBooks {
            lines: spool.lines,
            events: spool.events,
            blank: spool.blank,
            quarantined: spool.quarantined,
        },
        subscriptions: ledger
            .lanes
            .values()
            .map(|lane| SubscriptionBooks {
                tenant: lane.tenant.clone(),
                subscription: lane.name.clone(),
                matched: lane.books.matched,
                delivered: lane.books.delivered,
                failed: lane.books.failed,
                unknown: lane.books.unknown,
                cancelled: lane.books.cancelled,
                expired: lane.books.expired,
                dropped: lane.books.dropped,
                pending: lane.books.pending(),
            })
            .collect(),
        differences,
    })
}

/// Reads every kept extent and counts, for each lane, the events at or above its low mark that it takes and has not judged.
pub(super) fn waiting_in_log(
    ledger: &Ledger,
    log: &LogReader,
    differences: &mut Vec<String>,
) -> Result<BTreeMap<SubId, u64>, AuditError> {
    let mut waiting = BTreeMap::new();
    let mut filters = EraFilters::default();
    let mut expected: Option<Seq> = None;
    for group in ledger.extents.groups() {
        for extent in &group {
            if let Some(expected) = expected.filter(|expected| *expected > extent.first_seq) {
                differences.push(format!("spool: event {} was taken twice (next was {expected})", extent.first_seq));
            }
            expected = Some(extent.next_seq());
        }
        let events = match log.read_all(&group) {
            Ok(events) => events,
            Err(error) => {
                differences.push(format!("spool: {error}"));
                continue;
            }
        };
        for (sub, lane) in &ledger.lanes {
            if lane.waiting() == 0 || expected.is_some_and(|end| end <= lane.low) {
                continue;
            }
            for event in events.iter().filter(|event| event.seq >= lane.low && !lane.passed.contains(&event.seq)) {
                let filter = filters.at(*sub, &lane.eras, event.seq).map_err(|doubt| AuditError::Filter(doubt.0))?;
                if filter.is_some_and(|filter| filter.matches(event)) {
                    *waiting.entry(*sub).or_insert(0) += 1;
                }
            }
        }
    }
    Ok(waiting)
}

/// Deliveries that the journal says were delivered; `None` when the journal no longer reaches back to its beginning
/// or lacks a record.
fn delivered_in_history(ledger: &Ledger, state: &StateReader) -> Result<Option<BTreeMap<SubId, i64>>, AuditError> {
    // Newest first, so a count may pass below zero on the way.
    let mut delivered: BTreeMap<SubId, i64> = BTreeMap::new();
    let mut oldest = ledger.lsn + 1;
    let mut is_whole = true;
    state.history(ledger.lsn + 1, |lsn, record| {
        is_whole &= lsn + 1 == oldest;
        oldest = lsn;
        match record {
            Record::Attempted { key, verdict: Verdict::Delivered, .. } => *delivered.entry(key.sub).or_default() += 1,
            Record::Retriggered { key, was: ExceptionStatus::Delivered, .. } => {
                *delivered.entry(key.sub).or_default() -= 1
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok((is_whole && oldest == 1).then_some(delivered))
}
