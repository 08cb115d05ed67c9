//! One screen about the engine, and whether it is ready.

use super::sight::Sight;
use super::subscriptions;
use crate::admin::api::{Check, ConfigStatus, DeliveryStats, Readiness, SpoolStatus, Status};
use crate::admin::{Caller, ControlError};
use crate::engine::desk::Standstill;
use crate::engine::running::{Shared, lock};
use crate::engine::watch::changed_since;

/// Hides what is of all tenants together from a tenant's token: where things lie, what the spool holds, and reasons, which may
/// name either.
fn narrowed(status: Status, caller: &Caller) -> Status {
    if caller.tenant.is_none() {
        return status;
    }
    Status {
        pid: 0,
        state_reason: status.state_reason.map(|_| "ask whoever looks after this engine".to_owned()),
        notices: Vec::new(),
        config: ConfigStatus { path: String::new(), ..status.config },
        spool: SpoolStatus::default(),
        ..status
    }
}

pub fn status(shared: &Shared, caller: &Caller) -> Result<Status, ControlError> {
    let subscriptions = subscriptions::all(shared, caller)?;
    let sight = Sight::of(shared, caller);
    let now = shared.schedule_now();
    let lanes = shared.ask(move |scheduler| scheduler.status(now)).unwrap_or_default();
    let intake = lock(&shared.intake_status).clone();
    let doubt = lock(&shared.doubt).clone();
    let loaded_at = *lock(&shared.loaded_at);
    // Looks at files, so it is asked before the ledger is locked.
    let changed_on_disk = changed_since(shared, loaded_at);
    let ledger = shared.state.ledger();
    let mut deliveries = DeliveryStats {
        oldest_due_age_s: subscriptions.iter().map(|each| each.counters.oldest_due_age_s).max().unwrap_or(0),
        next_retry_at: lanes.iter().filter(|lane| sight.has(lane.sub)).filter_map(|lane| lane.next_due).min(),
        ..DeliveryStats::default()
    };
    for lane in ledger.lanes.iter().filter(|(sub, _)| sight.has(**sub)).map(|(_, lane)| lane) {
        deliveries.pending += lane.books.pending();
        deliveries.retrying += lane.parked;
        deliveries.delivered += lane.books.delivered;
        deliveries.failed += lane.books.failed;
        deliveries.unknown += lane.books.unknown;
        deliveries.dropped += lane.books.dropped;
    }
    let spool = SpoolStatus {
        behind_bytes: intake.sources.iter().map(|source| source.bytes_behind).sum(),
        last_event_at: ledger.extents.last_seen(),
        events: ledger.spool.events,
        kept_bytes: ledger.extents.bytes(),
        quarantined: ledger.spool.quarantined,
        problems: intake.problems.iter().map(|each| format!("{}: {}", each.path.display(), each.detail)).collect(),
    };
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: shared.started_at,
        state: state(shared).to_owned(),
        state_reason: doubt.map(|doubt| doubt.reason).or(intake.shortage),
        notices: shared.notices.clone(),
        config: ConfigStatus {
            path: shared.config_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            loaded_at,
            changed_on_disk,
        },
        spool,
        deliveries,
        subscriptions,
    };
    Ok(narrowed(status, caller))
}

/// How the engine is doing, in a word.
pub fn state(shared: &Shared) -> &'static str {
    match (lock(&shared.doubt).is_some(), lock(&shared.intake_status).shortage.is_some()) {
        (true, _) => "stopped",
        (false, true) => "degraded",
        (false, false) => "running",
    }
}

/// What can be said while no engine runs.
pub fn at_a_standstill(standstill: Standstill, caller: &Caller) -> Status {
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started_at: standstill.started_at,
        state: "waiting".to_owned(),
        state_reason: Some(standstill.reason),
        notices: Vec::new(),
        config: ConfigStatus {
            path: standstill.config_path.map(|path| path.display().to_string()).unwrap_or_default(),
            loaded_at: standstill.loaded_at,
            changed_on_disk: false,
        },
        spool: SpoolStatus::default(),
        deliveries: DeliveryStats::default(),
        subscriptions: Vec::new(),
    };
    narrowed(status, caller)
}

/// Not ready, and why.
pub fn not_ready(standstill: Standstill) -> Readiness {
    let check = Check { name: "durability".to_owned(), ok: false, reason: Some(standstill.reason) };
    Readiness { ready: false, checks: vec![check] }
}

/// Ready: nothing is in doubt, the scheduler answers, the spool is being read.
pub fn readiness(shared: &Shared) -> Readiness {
    let inbox = shared.config().spool.dir.join("in");
    let listed = shared.state.files.list(&inbox);
    let check = |name: &str, reason: Option<String>| Check { name: name.to_owned(), ok: reason.is_none(), reason };
    let checks = vec![
        check("durability", lock(&shared.doubt).as_ref().map(|doubt| doubt.reason.clone())),
        check("dispatch", shared.ask(|_| ()).is_none().then(|| "the scheduler has stopped".to_owned())),
        check("space", lock(&shared.intake_status).shortage.clone()),
        check("threads", shared.pulses.late()),
        check("spool", listed.err().map(|error| format!("{} cannot be listed: {error}", inbox.display()))),
    ];
    Readiness { ready: checks.iter().all(|check| check.ok), checks }
}
