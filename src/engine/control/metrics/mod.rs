//! The page of metrics, made from counters, ledger and lanes at the moment it is asked for.

mod machine;
mod subscriptions;

use crate::admin::{Caller, ControlError};
use crate::engine::desk::Standstill;
use crate::engine::running::{Shared, lock};
use crate::engine::watchdog::Who;
use crate::ingest::SourceKind;
use crate::metrics::{Kind, Page, log_messages};
use crate::model::{Outcome, RejectionReason};

/// States of the engine, as `status` names them.
const STATES: [&str; 4] = ["running", "degraded", "stopped", "waiting"];

/// Who finds out that durability is in doubt, beside the threads that beat.
const BESIDES: [&str; 2] = ["worker", "start"];

/// The page for this caller: who sees one tenant gets the series of its subscriptions only.
pub fn render(shared: &Shared, caller: &Caller) -> Result<String, ControlError> {
    let mut page = Page::default();
    if caller.tenant.is_none() {
        let state = super::status::state(shared);
        begin(&mut page, shared.started_at.0, state);
        spool(shared, &mut page);
        engine(shared, &mut page);
        machine::render(shared, &mut page);
    }
    subscriptions::render(shared, caller, &mut page)?;
    Ok(page.into_text())
}

/// What can be said while no engine runs.
pub fn at_a_standstill(standstill: &Standstill) -> String {
    let mut page = Page::default();
    begin(&mut page, standstill.started_at.0, "waiting");
    page.into_text()
}

/// What the binary was built from, as far as whoever built it said so.
const REVISION: &str = match option_env!("SPOOLHOOK_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

fn begin(page: &mut Page, started_ms: i64, state: &str) {
    let version = env!("CARGO_PKG_VERSION");
    page.family("spoolhook_build_info", Kind::Gauge, "What runs; always 1.")
        .put(&[("version", version), ("revision", REVISION), ("crypto", "ring")], 1.0);
    let started_s = started_ms as f64 / 1000.0;
    page.single("spoolhook_start_time_seconds", Kind::Gauge, "When the engine started, since the epoch.", started_s);
    let mut family = page.family("spoolhook_engine_state", Kind::Gauge, "1 for the state that the engine is in.");
    for name in STATES {
        family.put(&[("state", name)], f64::from(u8::from(name == state)));
    }
    let mut family = page.family("spoolhook_log_messages_total", Kind::Counter, "Log lines written, by level.");
    for (level, count) in log_messages() {
        family.put_count(&[("level", level)], count);
    }
}

fn spool(shared: &Shared, page: &mut Page) {
    let (books, bytes) = {
        let ledger = shared.state.ledger();
        (ledger.spool, ledger.extents.bytes())
    };
    let intake = lock(&shared.intake_status).clone();
    let mut family = page.family("spoolhook_events_accepted_total", Kind::Counter, "Events taken in, by source.");
    for source in SourceKind::ALL {
        family.put_count(&[("source", source.as_str())], intake.tally.events(source));
    }
    let help = "Lines that are no events, by reason: they are in quarantine.";
    let mut family = page.family("spoolhook_spool_rejected_lines_total", Kind::Counter, help);
    for reason in RejectionReason::ALL {
        family.put_count(&[("reason", reason.as_str())], intake.tally.rejected(reason));
    }
    let mut count = |name, help, value| page.family(name, Kind::Counter, help).put_count(&[], value);
    count(
        "spoolhook_events_unmatched_total",
        "Events that no subscription took, kept across restarts.",
        books.unmatched,
    );
    count("spoolhook_spool_blank_lines_total", "Lines without content, kept across restarts.", books.blank);
    let behind: u64 = intake.sources.iter().map(|source| source.bytes_behind).sum();
    let files: usize = intake.sources.iter().map(|source| source.files).sum();
    let last_read = intake.sources.iter().filter_map(|source| source.last_read).max();
    let mut gauge = |name, help, value| page.single(name, Kind::Gauge, help, value);
    gauge("spoolhook_spool_lag_bytes", "Bytes seen in the sources and not taken in yet.", behind as f64);
    gauge("spoolhook_spool_files", "Files being read.", files as f64);
    gauge("spoolhook_spool_kept_bytes", "Bytes of events that are still kept.", bytes as f64);
    let last_read_s = last_read.map_or(0.0, |at| at.0 as f64 / 1000.0);
    gauge("spoolhook_spool_last_read_timestamp_seconds", "When a line was last taken in; 0 before.", last_read_s);
    let problems = intake.problems.len() as f64;
    gauge("spoolhook_spool_problems", "Files that are not read, or not as they should be.", problems);
}

fn engine(shared: &Shared, page: &mut Page) {
    let totals = shared.meters.lock().totals.clone();
    page.family("spoolhook_dispatch_queue_wait_seconds", Kind::Histogram, "From an event to its first attempt.")
        .put_histogram(&[], &totals.queue_wait);
    page.family("spoolhook_state_write_duration_seconds", Kind::Histogram, "How long a commit took, sync and all.")
        .put_histogram(&[("op", "commit")], &totals.write);
    let help = "Deliveries that somebody had sent again, by what came of that attempt.";
    let mut family = page.family("spoolhook_replay_deliveries_total", Kind::Counter, help);
    for outcome in Outcome::ALL {
        family.put_count(&[("outcome", outcome.as_str())], totals.replayed(outcome));
    }
    let help = "How often durability was in doubt and the line stopped, by who found out.";
    let mut family = page.family("spoolhook_state_errors_total", Kind::Counter, help);
    for op in Who::ALL.map(Who::name).into_iter().chain(BESIDES) {
        family.put_count(&[("op", op)], totals.state_errors(op));
    }
    let (workers, busy) = match shared.pool.get().and_then(std::sync::Weak::upgrade) {
        Some(pool) => pool.size(),
        None => (0, 0),
    };
    let mut gauge = |name, help, value| page.single(name, Kind::Gauge, help, value);
    gauge("spoolhook_replays_running", "Replays of many deliveries that are under way.", shared.jobs.running() as f64);
    gauge("spoolhook_dispatch_workers", "Threads that send.", workers as f64);
    gauge("spoolhook_dispatch_workers_busy", "Of those, how many are at it.", busy as f64);
    let successful = f64::from(u8::from(!totals.reload_failed));
    gauge("spoolhook_config_last_reload_successful", "Whether the last load was accepted.", successful);
    let loaded_s = lock(&shared.loaded_at).0 as f64 / 1000.0;
    let name = "spoolhook_config_last_reload_success_timestamp_seconds";
    gauge(name, "When the configuration in force was loaded.", loaded_s);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::problems;

    #[test]
    fn a_standstill_says_that_it_waits() {
        let text = at_a_standstill(&Standstill::default());
        assert!(text.contains("spoolhook_engine_state{state=\"waiting\"} 1\n"), "{text}");
        assert_eq!(problems(&text), Vec::<String>::new());
    }
}
