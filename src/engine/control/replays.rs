//! Replay jobs: from an order to a list of deliveries, and questions about jobs.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::replay_ids::{self, Answered};
use super::{internal, unavailable};
use crate::admin::api::{Page, ReplayAnswer, ReplayDirection, ReplayFilter, ReplayJob, ReplayOrder, ReplayRow};
use crate::admin::{Caller, ControlError, PageRequest, ReplayOutcome, SubKey};
use crate::engine::replays::{Info, Selection, Wanted, feed, select};
use crate::engine::running::{Shared, lock};
use crate::model::{Mode, Outcome, Rate, SubId, Subscription, Timestamp, When};
use crate::routing::Pattern;
use crate::store::{End, ExceptionStatus, Record};

/// So many named deliveries go at once, and the answer says what became of each.
const AT_ONCE_MAX: usize = 200;
/// Carriyo's bounds: a range of a day, thirty days back, a thousand at a time.
const CARRIYO_RANGE: Duration = Duration::from_secs(86_400);
const CARRIYO_BACK: Duration = Duration::from_secs(30 * 86_400);
const CARRIYO_MAX: u64 = 1_000;

fn invalid(message: impl Into<String>) -> ControlError {
    ControlError::Invalid(message.into())
}

fn instant(name: &str, text: Option<&String>, now: Timestamp) -> Result<Option<Timestamp>, ControlError> {
    let read = |text: &String| When::parse(text).map_err(|wrong| invalid(format!("{name}: {wrong}")));
    Ok(text.map(read).transpose()?.map(|when| when.at(now)))
}

fn names<T>(
    what: &str,
    text: Option<&String>,
    known: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ControlError> {
    let read = |name: &str| {
        parse(name).ok_or_else(|| invalid(format!("{what} \"{name}\" cannot be replayed; choose of {known}")))
    };
    text.iter().flat_map(|text| text.split(',')).map(read).collect()
}

fn row_status(name: &str) -> Option<ExceptionStatus> {
    match name {
        "failed" => Some(ExceptionStatus::Failed),
        "unknown" => Some(ExceptionStatus::Unknown),
        "pending" => Some(ExceptionStatus::Parked),
        _ => None,
    }
}

/// The subscriptions that `order` speaks of, of those that exist for the caller.
fn subscriptions(
    shared: &Shared,
    caller: &Caller,
    order: &ReplayOrder,
) -> Result<Vec<(SubId, Arc<Subscription>)>, ControlError> {
    let key = order.subscription.as_deref().map(SubKey::parse);
    let is_named = |sub: &SubId, subscription: &Subscription| match &key {
        None => true,
        Some(SubKey::Id(id)) => sub.0 == *id,
        Some(SubKey::Name { tenant, name }) => {
            subscription.name == *name && tenant.as_ref().is_none_or(|tenant| tenant == subscription.tenant())
        }
    };
    let configured = lock(&shared.routing).subscriptions.clone();
    let found: Vec<_> = configured
        .iter()
        .filter(|(_, subscription)| {
            let tenant = subscription.tenant();
            caller.sees(tenant) && order.tenant.as_ref().is_none_or(|wanted| wanted == tenant)
        })
        .filter(|(sub, subscription)| is_named(sub, subscription))
        .map(|(sub, subscription)| (*sub, subscription.clone()))
        .collect();
    match (&order.subscription, found.as_slice()) {
        (Some(name), []) => Err(ControlError::NotFound(format!("no subscription {name}; see `spoolhook subs list`"))),
        (Some(name), [_, _, ..]) => {
            Err(ControlError::Ambiguous(format!("{name} exists in several tenants; say TENANT/{name}")))
        }
        _ => Ok(found),
    }
}

fn wanted(shared: &Shared, caller: &Caller, order: &ReplayOrder) -> Result<Wanted, ControlError> {
    let failed = || if order.ids.is_empty() { vec![ExceptionStatus::Failed] } else { Vec::new() };
    let statuses = names("status", order.status.as_ref(), "failed, unknown, pending", row_status)?;
    let known = || Outcome::ALL.map(Outcome::as_str).join(", ");
    let now = shared.clock.now();
    let subscriptions = subscriptions(shared, caller, order)?;
    let goes_anew = |(_, subscription): &(SubId, Arc<Subscription>)| subscription.mode == Mode::AtMostOnce;
    // Who names a delivery means it.
    let is_asked = order.ids.is_empty() && subscriptions.iter().any(goes_anew);
    Ok(Wanted {
        replaced: if is_asked { replaced(shared)? } else { HashSet::new() },
        subscriptions,
        statuses: if statuses.is_empty() { failed() } else { statuses },
        outcomes: names("outcome", order.outcome.as_ref(), &known(), Outcome::parse)?,
        pattern: order.event_type.as_deref().map(Pattern::parse).transpose().map_err(invalid)?,
        event_id: order.event_id.clone(),
        since: instant("since", order.since.as_ref(), now)?,
        until: instant("until", order.until.as_ref(), now)?,
    })
}

/// Deliveries that were replayed as new ones, as far as the history reaches.
fn replaced(shared: &Shared) -> Result<HashSet<[u8; 16]>, ControlError> {
    let (mut found, mut cancelled) = (HashSet::new(), HashSet::new());
    let history = shared.state.history(u64::MAX, |_, record| {
        match record {
            Record::Ended { key, end: End::Cancelled, .. } if key.replay > 0 => drop(cancelled.insert(key)),
            // Newest first: how it ended comes before how it began.
            Record::Replayed { key, row, .. } if !cancelled.contains(&key) => found.extend(row.replay_of),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    history.map_err(internal)?;
    Ok(found)
}

/// What Carriyo's bounds have against an order.
fn outside_of_carriyo(order: &ReplayOrder, wanted: &Wanted, now: Timestamp) -> Option<String> {
    if order.ids.len() as u64 > CARRIYO_MAX {
        return Some(format!("ids names {}, the preset \"carriyo\" takes {CARRIYO_MAX} per call", order.ids.len()));
    }
    let Some(since) = wanted.since else {
        let is_by_filter = order.ids.is_empty();
        return is_by_filter.then(|| "the preset \"carriyo\" needs since, at most 30 days ago".to_owned());
    };
    if since < now.minus(CARRIYO_BACK) {
        return Some(format!("since {since} is more than 30 days ago, the bound of the preset \"carriyo\""));
    }
    let until = wanted.until.unwrap_or(now);
    let is_too_long = until.since(since) > CARRIYO_RANGE;
    is_too_long.then(|| format!("from {since} to {until} is more than 1 day, the bound of the preset \"carriyo\""))
}

/// Makes a job of an order, or tells what it would be.
pub fn start(shared: &Shared, caller: &Caller, order: &ReplayOrder) -> Result<ReplayOutcome, ControlError> {
    let rate = order.rate.as_deref().map(|text| {
        crate::config::rate(text).ok_or_else(|| invalid(format!("rate \"{text}\" is not a rate such as 20/s or 100/m")))
    });
    let rate = rate.transpose()?;
    let is_carriyo = match order.preset.as_deref() {
        None => false,
        Some("carriyo") => true,
        Some(other) => return Err(invalid(format!("preset \"{other}\" is not known; there is \"carriyo\""))),
    };
    let wanted = wanted(shared, caller, order)?;
    let now = shared.clock.now();
    if let Some(problem) = outside_of_carriyo(order, &wanted, now).filter(|_| is_carriyo) {
        return Err(invalid(problem));
    }
    // Before the list: what happens to its deliveries from now on is behind this record.
    let lsn = shared.state.ledger().lsn;
    let (mut selection, rows) = match order.ids.is_empty() {
        true => (by_filter(shared, &wanted, order.order)?, Vec::new()),
        false => replay_ids::resolve(shared, caller, order, &wanted)?,
    };
    selection.estimate(rate);
    let preview = &selection.preview;
    if is_carriyo && preview.count > CARRIYO_MAX {
        let message =
            format!("{} match, the preset \"carriyo\" takes {CARRIYO_MAX} per call: narrow the range", preview.count);
        return Err(invalid(message));
    }
    if order.dry_run {
        return Ok(ReplayOutcome::Preview(selection.preview));
    }
    check(order, &selection)?;
    let matched = selection.preview.count;
    let info = Info {
        id: format!("rpl_{:012x}{:08x}", now.0, fastrand::u32(..)),
        tenant: caller.tenant.clone(),
        created_by: caller.name.clone(),
        created_ms: now.0,
        // A span ends when the job is made.
        filter: ReplayFilter {
            since: wanted.since.map(|since| since.to_string()),
            until: wanted.until.map(|until| until.to_string()),
            ..ReplayFilter::from(order)
        },
        rate: order.rate.clone(),
        order: order.order,
        consent: order.consent,
        lsn,
        cancelled: false,
        ended: None,
    };
    let (job, data) = make(shared, caller, info, selection, rate, rows)?;
    let refused = data.iter().filter(|row| !row.accepted).count();
    let message = match data.len() {
        0 if matched == 1 => "1 delivery is replayed.".to_owned(),
        0 => format!("{matched} deliveries are replayed."),
        all => format!("{} of {all} accepted.", all - refused),
    };
    let retriggered = job.as_ref().map_or(0, |job| job.matched - job.skipped);
    Ok(ReplayOutcome::Job(Box::new(ReplayAnswer {
        result: if refused == 0 { "success" } else { "error" }.to_owned(),
        message,
        job,
        data,
        original_failure_count: is_carriyo.then_some(matched),
        retriggered_count: is_carriyo.then_some(retriggered),
    })))
}

/// Whether the caller knows what it asks for.
fn check(order: &ReplayOrder, selection: &Selection) -> Result<(), ControlError> {
    let preview = &selection.preview;
    if let Some(expected) = order.expect_count.filter(|expected| *expected != preview.count) {
        let found = match preview.count {
            1 => "1 delivery matches".to_owned(),
            several => format!("{several} deliveries match"),
        };
        let message = format!("{found}, not the expected {expected}; look again with dry_run");
        return Err(ControlError::Conflict(message));
    }
    if preview.at_most_once > 0 && !order.consent {
        let message = format!(
            "{} of {} deliveries are at-most-once: their receivers may get them a second time. Give consent to send \
             them as new deliveries, or leave their subscriptions out",
            preview.at_most_once, preview.count
        );
        return Err(ControlError::Conflict(message));
    }
    Ok(())
}

fn by_filter(shared: &Shared, wanted: &Wanted, direction: ReplayDirection) -> Result<Selection, ControlError> {
    let selection = select(shared, wanted, direction, shared.schedule_now()).map_err(internal)?;
    selection.ok_or_else(|| invalid("more than 1,000,000 deliveries match; narrow the filter"))
}

/// Makes the job, unless every id was refused. Few that were named go at once.
fn make(
    shared: &Shared,
    caller: &Caller,
    info: Info,
    selection: Selection,
    rate: Option<Rate>,
    answered: Vec<Answered>,
) -> Result<(Option<ReplayJob>, Vec<ReplayRow>), ControlError> {
    let is_named = !answered.is_empty();
    if is_named && selection.snapshot.entries.is_empty() {
        return Ok((None, answered.into_iter().map(|answered| answered.row(&[])).collect()));
    }
    let goes_at_once = is_named && rate.is_none() && selection.snapshot.entries.len() <= AT_ONCE_MAX;
    let mut fed = Vec::new();
    let created = shared.jobs.create(info, selection.snapshot, rate)?;
    let take = || shared.jobs.take_batch(&created.id, shared.clock.monotonic(), true);
    while let Some(batch) = if goes_at_once { take() } else { None } {
        fed.extend(feed(shared, batch).map_err(|_| unavailable("the engine is stopping; the replay goes on with it"))?);
    }
    let job = shared.jobs.show(caller, &created.id, shared.clock.monotonic())?;
    Ok((Some(job), answered.into_iter().map(|answered| answered.row(&fed)).collect()))
}

/// Jobs, newest first.
pub fn list(shared: &Shared, caller: &Caller, page: &PageRequest) -> Result<Page<ReplayJob>, ControlError> {
    match page.cursor.as_deref().filter(|cursor| !cursor.starts_with("rpl_")) {
        Some(cursor) => Err(ControlError::Invalid(format!("\"{cursor}\" is no cursor of this list"))),
        None => Ok(shared.jobs.list(caller, page, shared.clock.monotonic())),
    }
}

pub fn show(shared: &Shared, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError> {
    shared.jobs.show(caller, id, shared.clock.monotonic())
}

/// Keeps what is not sent yet from being sent.
pub fn cancel(shared: &Shared, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError> {
    shared.jobs.cancel(caller, id, shared.clock.monotonic())
}
