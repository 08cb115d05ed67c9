//! One screen about the engine, and whether it is ready.

use super::subscriptions;
use crate::admin::ControlError;
use crate::admin::api::{Check, ConfigStatus, DeliveryStats, Readiness, SpoolStatus, Status};
use crate::engine::running::{Shared, lock};
use crate::engine::watch::changed_since;

pub fn status(shared: &Shared) -> Result<Status, ControlError> {
    let subscriptions = subscriptions::all(shared)?;
    let clock = shared.clock.clone();
    let lanes = shared.ask(move |scheduler| scheduler.status(clock.now())).unwrap_or_default();
    let intake = lock(&shared.intake_status).clone();
    let doubt = lock(&shared.doubt).clone();
    let loaded_at = *lock(&shared.loaded_at);
    // Looks at files, so it is asked before the ledger is locked.
    let changed_on_disk = changed_since(shared, loaded_at);
    let ledger = shared.state.ledger();
    let mut deliveries = DeliveryStats {
        oldest_due_age_s: subscriptions.iter().map(|each| each.counters.oldest_due_age_s).max().unwrap_or(0),
        next_retry_at: lanes.iter().filter_map(|lane| lane.next_due).min(),
        ..DeliveryStats::default()
    };
    for lane in ledger.lanes.values() {
        deliveries.pending += lane.books.pending();
        deliveries.retrying += lane.parked;
        deliveries.delivered += lane.books.delivered;
        deliveries.failed += lane.books.failed;
        deliveries.unknown += lane.books.unknown;
    }
    let spool = SpoolStatus {
        behind_bytes: intake.sources.iter().map(|source| source.bytes_behind).sum(),
        last_event_at: ledger.extents.last_seen(),
        events: ledger.spool.events,
        kept_bytes: ledger.extents.bytes(),
        quarantined: ledger.spool.quarantined,
    };
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: shared.started_at,
        state: if doubt.is_some() { "stopped" } else { "running" }.to_owned(),
        state_reason: doubt,
        notices: shared.notices.clone(),
        config: ConfigStatus {
            path: shared.config_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            loaded_at,
            changed_on_disk,
        },
        spool,
        deliveries,
        subscriptions,
    })
}

/// Ready: nothing is in doubt, the scheduler answers, the spool is being read.
pub fn readiness(shared: &Shared) -> Readiness {
    let checks = vec![
        Check { name: "durability".to_owned(), ok: lock(&shared.doubt).is_none() },
        Check { name: "dispatch".to_owned(), ok: shared.ask(|_| ()).is_some() },
        Check { name: "spool".to_owned(), ok: shared.state.files.list(&shared.config().spool.dir.join("in")).is_ok() },
    ];
    Readiness { ready: checks.iter().all(|check| check.ok), checks }
}
