//! The series of each subscription. All of them exist from the start: a first failure must show as an increase.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::admin::api::Webhook;
use crate::admin::{Caller, ControlError};
use crate::dispatch::LaneStatus;
use crate::engine::control::subscriptions;
use crate::engine::running::Shared;
use crate::metrics::{Finish, Kind, Page, SubMeters};
use crate::model::{Outcome, SubId, Timestamp};

/// States of a subscription, as the API names them.
const STATES: [&str; 4] = ["active", "failing", "paused", "disabled"];

/// One subscription with everything that is said about it.
struct Row {
    hook: Webhook,
    in_flight: u32,
    failed_retained: u64,
    meters: SubMeters,
}

impl Row {
    fn labels(&self) -> [(&str, &str); 2] {
        [("tenant", &self.hook.tenant), ("subscription", &self.hook.name)]
    }

    fn with<'a>(&'a self, label: &'a str, value: &'a str) -> [(&'a str, &'a str); 3] {
        let [tenant, subscription] = self.labels();
        [tenant, subscription, (label, value)]
    }
}

/// What is said about a subscription in one number.
type Say<T> = fn(&Row) -> T;

const GAUGES: [(&str, &str, Say<u64>); 4] = [
    ("spoolhook_deliveries_pending", "Deliveries that are not settled.", |row| row.hook.counters.pending),
    ("spoolhook_deliveries_in_flight", "Deliveries on their way now.", |row| u64::from(row.in_flight)),
    ("spoolhook_deliveries_failed_retained", "Failed deliveries that can be sent again.", |row| row.failed_retained),
    (
        "spoolhook_oldest_pending_event_age_seconds",
        "How long the delivery has waited that has waited longest for an attempt that could be made.",
        |row| row.hook.counters.oldest_due_age_s,
    ),
];

const COUNTERS: [(&str, &str, Say<u64>); 2] = [
    ("spoolhook_subscription_success_total", "Attempts that delivered, kept across restarts.", |row| {
        row.hook.counters.success_count
    }),
    ("spoolhook_subscription_error_total", "Attempts that did not deliver, kept across restarts.", |row| {
        row.hook.counters.error_count
    }),
];

const INSTANTS: [(&str, &str, Say<Option<Timestamp>>); 3] = [
    ("spoolhook_subscription_last_success_timestamp_seconds", "The last attempt that delivered; 0 before.", |row| {
        row.hook.counters.last_success_at
    }),
    ("spoolhook_subscription_last_error_timestamp_seconds", "The last attempt that did not; 0 before.", |row| {
        row.hook.counters.last_error_at
    }),
    (
        "spoolhook_endpoint_certificate_not_after_timestamp_seconds",
        "When the endpoint's TLS certificate ends, as accepted last; 0 before, and without TLS.",
        |row| row.hook.certificate_not_after,
    ),
];

pub fn render(shared: &Shared, caller: &Caller, page: &mut Page) -> Result<(), ControlError> {
    let rows = rows(shared, caller)?;
    for (name, help, say) in GAUGES {
        let mut family = page.family(name, Kind::Gauge, help);
        rows.iter().for_each(|row| family.put_count(&row.labels(), say(row)));
    }
    for (name, help, say) in COUNTERS {
        let mut family = page.family(name, Kind::Counter, help);
        rows.iter().for_each(|row| family.put_count(&row.labels(), say(row)));
    }
    for (name, help, say) in INSTANTS {
        let mut family = page.family(name, Kind::Gauge, help);
        rows.iter().for_each(|row| family.put(&row.labels(), say(row).map_or(0.0, |at| at.0 as f64 / 1000.0)));
    }
    let help = "1 for the state that the subscription is in.";
    let mut family = page.family("spoolhook_subscription_state", Kind::Gauge, help);
    for row in &rows {
        STATES.iter().for_each(|name| family.put_count(&row.with("state", name), u64::from(row.hook.state == *name)));
    }
    let mut family = page.family("spoolhook_delivery_attempts_total", Kind::Counter, "Attempts, by what came of them.");
    for row in &rows {
        for outcome in Outcome::ALL {
            family.put_count(&row.with("outcome", outcome.as_str()), row.meters.attempts(outcome));
        }
    }
    let help = "Deliveries that ended, by how.";
    let mut family = page.family("spoolhook_deliveries_finished_total", Kind::Counter, help);
    for row in &rows {
        for finish in Finish::ALL {
            family.put_count(&row.with("outcome", finish.as_str()), row.meters.finished(finish));
        }
    }
    let name = "spoolhook_delivery_attempt_duration_seconds";
    let mut family = page.family(name, Kind::Histogram, "How long an attempt took.");
    rows.iter().for_each(|row| family.put_histogram(&row.labels(), &row.meters.duration));
    let help = "From an event's first sight to the attempt that delivered it.";
    let mut family = page.family("spoolhook_delivery_end_to_end_seconds", Kind::Histogram, help);
    rows.iter().for_each(|row| family.put_histogram(&row.labels(), &row.meters.end_to_end));
    Ok(())
}

fn rows(shared: &Shared, caller: &Caller) -> Result<Vec<Row>, ControlError> {
    let hooks = subscriptions::all(shared, caller)?;
    let now = shared.schedule_now();
    let lanes = shared.ask(move |scheduler| scheduler.status(now)).unwrap_or_default();
    let lanes: HashMap<SubId, LaneStatus> = lanes.into_iter().map(|lane| (lane.sub, lane)).collect();
    let subs: BTreeSet<SubId> = hooks.iter().map(|hook| SubId(hook.id)).collect();
    let mut meters = shared.meters.lock().copy(&subs);
    let ledger = shared.state.ledger();
    let failed: BTreeMap<SubId, u64> = subs
        .iter()
        .filter_map(|sub| Some((*sub, ledger.lanes.get(sub)?)))
        .map(|(sub, lane)| (sub, lane.books.failed.saturating_sub(lane.forgotten.failed)))
        .collect();
    drop(ledger);
    let row = |hook: Webhook| {
        let sub = SubId(hook.id);
        Row {
            in_flight: lanes.get(&sub).map_or(0, |lane| lane.in_flight),
            failed_retained: failed.get(&sub).copied().unwrap_or(0),
            meters: meters.remove(&sub).unwrap_or_default(),
            hook,
        }
    };
    Ok(hooks.into_iter().map(row).collect())
}
