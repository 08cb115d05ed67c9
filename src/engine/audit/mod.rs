//! The books, recomputed from the files and the state and compared with what the engine believes.
//!
//! Four ways lead to the same figures. The *journal*, added up once more, must give every counter, position and row, as
//! long as it reaches back to its first record. The *log* is read again: each stretch must hold the events it held, and
//! those that a lane has not judged are what waits. The *rows* of the view are counted by status. The *quarantine* must
//! hold every rejected line. What differs is said in sentences that begin with where: a subscription, `spool:`,
//! `journal:`, `quarantine:`.

mod differences;
mod journal;
mod log;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

use crossbeam_channel::bounded;

use self::differences::Differences;
use super::messages::{Entry, Then};
use super::running::Shared;
use crate::admin::api::{self, DeliveryBooks, SubscriptionBooks, TenantBooks};
use crate::ingest::LogReader;
use crate::model::SubId;
use crate::store::{DeliveryKey, ExceptionStatus, LaneState, Ledger, RowMark, StateReader, ViewError};

/// The state between two commits.
struct Snapshot {
    ledger: Ledger,
    rows: Vec<(DeliveryKey, RowMark)>,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the engine has stopped")]
    Stopped,
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("read the journal: {0}")]
    Journal(#[from] crate::store::JournalError),
    #[error("{0}")]
    Filter(String),
}

fn snapshot(state: &StateReader) -> Result<Snapshot, AuditError> {
    let ledger = state.ledger().clone();
    let mut rows = Vec::new();
    for sub in ledger.lanes.keys() {
        for row in state.view.exceptions(*sub) {
            let (key, row) = row?;
            rows.push((key, RowMark::of(&row)));
        }
    }
    Ok(Snapshot { ledger, rows })
}

/// Counts the deliveries that wait in the log, for each lane; `None` when some of it cannot be read.
pub(super) fn waiting_in_log(ledger: &Ledger, log: &LogReader) -> Result<Option<BTreeMap<SubId, u64>>, AuditError> {
    let mut differences = Differences::default();
    let waiting = log::waiting(ledger, log, &mut differences)?;
    Ok(differences.into_sentences().is_empty().then_some(waiting))
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
    let mut differences = Differences::default();
    journal::compare(snapshot, state.recount(ledger.lsn)?, &mut differences);
    let spool = ledger.spool;
    if spool.lines != spool.events + spool.blank + spool.quarantined {
        differences.add(format!(
            "spool: {} lines are not {} events + {} blank + {} quarantined",
            spool.lines, spool.events, spool.blank, spool.quarantined
        ));
    }
    let waiting = log::waiting(ledger, log, &mut differences)?;
    log::quarantine(ledger, log, &mut differences);
    let mut rows: HashMap<(SubId, ExceptionStatus), u64> = HashMap::new();
    for (key, mark) in &snapshot.rows {
        *rows.entry((key.sub, mark.status)).or_default() += 1;
    }
    for (sub, lane) in &ledger.lanes {
        let books = lane.books;
        let rows = |status| rows.get(&(*sub, status)).copied().unwrap_or(0);
        let name = format!("{}/{}", lane.tenant, lane.name);
        let mut expect = |what: &str, counted: u64, kept: u64| differences.expect(&name, what, counted, kept);
        expect("deliveries wait in the log", waiting.get(sub).copied().unwrap_or(0), lane.waiting());
        expect("deliveries are parked", rows(ExceptionStatus::Parked), lane.parked);
        expect("deliveries are failed", rows(ExceptionStatus::Failed) + lane.forgotten.failed, books.failed);
        expect("deliveries are unknown", rows(ExceptionStatus::Unknown) + lane.forgotten.unknown, books.unknown);
        let ended = books.matched.saturating_sub(books.pending());
        let parts = books.delivered + books.failed + books.unknown + books.cancelled + books.expired + books.dropped;
        expect("deliveries have ended, more than matched", parts, ended);
    }
    let subscriptions: Vec<_> = ledger.lanes.values().map(told).collect();
    let mut tenants: BTreeMap<&str, DeliveryBooks> = BTreeMap::new();
    for subscription in &subscriptions {
        *tenants.entry(&subscription.tenant).or_default() += subscription.deliveries;
    }
    let tenants =
        tenants.into_iter().map(|(tenant, deliveries)| TenantBooks { tenant: tenant.to_owned(), deliveries }).collect();
    Ok(api::Books {
        spool: api::SpoolBooks {
            lines: spool.lines,
            events: spool.events,
            blank: spool.blank,
            quarantined: spool.quarantined,
        },
        tenants,
        subscriptions,
        differences: differences.into_sentences(),
    })
}

fn told(lane: &LaneState) -> SubscriptionBooks {
    let books = lane.books;
    let deliveries = DeliveryBooks {
        matched: books.matched,
        delivered: books.delivered,
        failed: books.failed,
        unknown: books.unknown,
        cancelled: books.cancelled,
        expired: books.expired,
        dropped: books.dropped,
        pending: books.pending(),
    };
    SubscriptionBooks { tenant: lane.tenant.clone(), subscription: lane.name.clone(), deliveries }
}
