//! The delivery log: the latest attempt of each delivery, newest first, then what was never tried.
//!
//! A delivery shows up at the record of its latest attempt, so no list of what was already shown is needed: an attempt is
//! the latest one when the delivery's row says so, or when it delivered, there is no row, and nobody sent it again since.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::sight::Sight;
use super::why::why;
use super::{internal, observer::status_after, subscriptions};
use crate::admin::api::{AttemptDetail, Delivery, DeliveryDetail, DeliveryPage};
use crate::admin::{Caller, ControlError, DeliveryFilter};
use crate::dispatch::order_key;
use crate::engine::running::{Shared, lock};
use crate::model::{Attempt, DeliveryStatus, OrderKey, SubId, Subscription};
use crate::routing::Pattern;
use crate::store::{DeliveryFacts, DeliveryKey, End, ExceptionRow, ExceptionStatus, Record};

/// A delivery found in the history.
pub(super) struct Found {
    pub key: DeliveryKey,
    pub facts: DeliveryFacts,
    pub attempts: Vec<Attempt>,
    /// How it stood after the newest record about it.
    pub settled: DeliveryStatus,
    pub row: Option<ExceptionRow>,
    /// How it ended, if it did without another attempt, and the number of the record that says so.
    pub ended: Option<(End, u64)>,
    /// What it is kept in order by while it waits in the log.
    pub order: Option<OrderKey>,
}

impl Found {
    pub fn new(key: DeliveryKey, facts: DeliveryFacts, attempts: Vec<Attempt>, settled: DeliveryStatus) -> Self {
        Self { key, facts, attempts, settled, row: None, ended: None, order: None }
    }

    pub fn status(&self) -> DeliveryStatus {
        match self.row.as_ref().map(|row| row.status) {
            Some(ExceptionStatus::Parked) => DeliveryStatus::Pending,
            Some(ExceptionStatus::Failed) => DeliveryStatus::Failed,
            Some(ExceptionStatus::Unknown) => DeliveryStatus::Unknown,
            Some(ExceptionStatus::Delivered) => DeliveryStatus::Delivered,
            None => self.settled,
        }
    }
}

fn delivery(
    subscription: &Subscription,
    facts: &DeliveryFacts,
    status: DeliveryStatus,
    last: Option<&Attempt>,
    row: Option<&ExceptionRow>,
) -> Delivery {
    let parked = row.filter(|row| row.status == ExceptionStatus::Parked);
    Delivery {
        id: uuid::Uuid::from_bytes(facts.delivery).to_string(),
        event_id: facts.event_id.to_string(),
        event_type: facts.event_type.to_string(),
        tenant: subscription.tenant().to_owned(),
        subscription: subscription.name.clone(),
        status,
        outcome: last.map(|attempt| attempt.outcome),
        status_code: last.and_then(|attempt| attempt.exchange.status_code),
        attempts: last.map_or(0, |attempt| attempt.number),
        created_at: facts.seen,
        last_attempt_at: last.map(|attempt| attempt.started),
        next_attempt_at: parked.map(|row| row.due),
        duration_ms: last.map(|attempt| attempt.duration_ms),
    }
}

/// The tests of a filter, ready to run.
struct Sieve<'a> {
    filter: &'a DeliveryFilter,
    sub: Option<SubId>,
    pattern: Option<Pattern>,
    sight: Sight,
}

impl<'a> Sieve<'a> {
    fn new(shared: &Shared, caller: &Caller, filter: &'a DeliveryFilter) -> Result<Self, ControlError> {
        let sub = filter.subscription.as_ref().map(|key| subscriptions::find(shared, caller, key)).transpose()?;
        let pattern = filter.event_type.as_deref().map(Pattern::parse).transpose().map_err(ControlError::Invalid)?;
        Ok(Self { filter, sub: sub.map(|found| found.0), pattern, sight: Sight::of(shared, caller) })
    }

    fn takes_facts(&self, sub: SubId, facts: &DeliveryFacts) -> bool {
        self.sight.has(sub)
            && self.sub.is_none_or(|wanted| wanted == sub)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&facts.event_type))
            && self.filter.event_id.as_ref().is_none_or(|id| *id == facts.event_id)
            && self.filter.since.is_none_or(|since| facts.seen >= since)
            && self.filter.until.is_none_or(|until| facts.seen < until)
    }

    fn takes_attempt(&self, last: Option<&Attempt>) -> bool {
        let code = last.and_then(|attempt| attempt.exchange.status_code);
        self.filter.status_code.is_none_or(|(from, upto)| code.is_some_and(|code| (from..=upto).contains(&code)))
            && self.filter.trigger.is_none_or(|trigger| last.is_some_and(|attempt| attempt.trigger == trigger))
    }

    fn takes(&self, delivery: &Delivery) -> bool {
        let filter = self.filter;
        (filter.status.is_empty() || filter.status.contains(&delivery.status))
            && (filter.outcome.is_empty() || delivery.outcome.is_some_and(|outcome| filter.outcome.contains(&outcome)))
            && filter.tenant.as_ref().is_none_or(|tenant| *tenant == delivery.tenant)
    }
}

/// Records of the history looked at for one page that holds something: what a filter hardly ever takes is found page by page.
const RECORDS_MAX: usize = 20_000;
/// For one that holds nothing yet: who stops at an empty page should have seen everything.
const EMPTY_RECORDS_MAX: usize = 5_000_000;

/// Cursors are the record number to go on below.
fn parse_cursor(cursor: Option<&str>) -> Result<u64, ControlError> {
    match cursor {
        None => Ok(u64::MAX),
        Some(text) => text
            .strip_prefix('r')
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| ControlError::Invalid(format!("\"{text}\" is no cursor of this list"))),
    }
}

/// What a record tells of one delivery: whose, an attempt if one was made, and how it stood then.
pub(super) fn told(record: Record) -> Option<(DeliveryKey, DeliveryFacts, Option<Attempt>, DeliveryStatus)> {
    match record {
        Record::Attempted { key, facts, attempt, verdict, .. } => {
            Some((key, facts, Some(attempt), status_after(verdict)))
        }
        Record::Ended { key, facts, end, .. } => Some((key, facts, None, status_at(end))),
        _ => None,
    }
}

pub fn list(shared: &Shared, caller: &Caller, filter: &DeliveryFilter) -> Result<DeliveryPage, ControlError> {
    let sieve = Sieve::new(shared, caller, filter)?;
    let before = parse_cursor(filter.page.cursor.as_deref())?;
    let limit = usize::from(filter.page.limit);
    let configured = lock(&shared.routing).subscriptions.clone();
    let mut data = if before == u64::MAX { untried(shared, &sieve, limit)? } else { Vec::new() };
    let mut failure = None;
    let mut next = None;
    let mut ended = HashSet::new();
    let view = &shared.state.view;
    let mut sent_again = HashSet::new();
    let mut looked_at = 0;
    let mut stopped_at = None;
    let scanned = shared.state.history(before, |lsn, record| {
        looked_at += 1;
        if looked_at > if data.is_empty() { EMPTY_RECORDS_MAX } else { RECORDS_MAX } {
            stopped_at = Some(lsn + 1);
            return ControlFlow::Break(());
        }
        if let Record::Retriggered { key, .. } = &record {
            sent_again.insert(*key);
        }
        let Some((key, facts, attempt, settled)) = told(record) else { return ControlFlow::Continue(()) };
        let Some(subscription) = configured.get(&key.sub) else { return ControlFlow::Continue(()) };
        if !sieve.takes_facts(key.sub, &facts) {
            return ControlFlow::Continue(());
        }
        let row = match view.exception(key) {
            Ok(row) => row,
            Err(error) => {
                failure = Some(internal(error));
                return ControlFlow::Break(());
            }
        };
        let latest = match (&row, &attempt) {
            (Some(row), Some(attempt)) => row.attempts == attempt.number,
            (Some(row), None) => row.attempts == 0,
            (None, Some(_)) => {
                settled == DeliveryStatus::Delivered && !ended.contains(&key) && !sent_again.contains(&key)
            }
            (None, None) => ended.insert(key),
        };
        if !latest {
            return ControlFlow::Continue(());
        }
        let attempts = attempt.into_iter().collect();
        let found = Found { row, ..Found::new(key, facts, attempts, settled) };
        let row = delivery(subscription, &found.facts, found.status(), found.attempts.last(), found.row.as_ref());
        if sieve.takes(&row) && sieve.takes_attempt(found.attempts.last()) {
            if data.len() >= limit {
                return ControlFlow::Break(());
            }
            data.push(row);
            next = Some(format!("r{lsn}"));
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(internal)?;
    if let Some(error) = failure {
        return Err(error);
    }
    let full = data.len() >= limit;
    if let Some(lsn) = stopped_at.filter(|_| !full) {
        return Ok(DeliveryPage { data, next_cursor: Some(format!("r{lsn}")), has_more: true, partial: true });
    }
    Ok(DeliveryPage { data, next_cursor: next.filter(|_| full), has_more: full, partial: false })
}

/// Deliveries that wait in the log without an attempt, and at-most-once ones on their way.
fn untried(shared: &Shared, sieve: &Sieve<'_>, limit: usize) -> Result<Vec<Delivery>, ControlError> {
    let wanted = &sieve.filter.status;
    let is_of_attempt =
        !sieve.filter.outcome.is_empty() || sieve.filter.status_code.is_some() || sieve.filter.trigger.is_some();
    if !(wanted.is_empty() || wanted.contains(&DeliveryStatus::Pending)) || is_of_attempt {
        return Ok(Vec::new());
    }
    let mut data = Vec::new();
    for Waiting { key, subscription, facts, .. } in waiting(shared, limit)? {
        if sieve.takes_facts(key.sub, &facts) {
            let row = delivery(&subscription, &facts, DeliveryStatus::Pending, None, None);
            data.extend(sieve.takes(&row).then_some(row));
        }
    }
    data.sort_by_key(|row| std::cmp::Reverse(row.created_at));
    data.truncate(limit);
    Ok(data)
}

/// A delivery that waits in the log.
struct Waiting {
    key: DeliveryKey,
    subscription: Arc<Subscription>,
    facts: DeliveryFacts,
    order: Option<OrderKey>,
}

/// Up to `limit` deliveries of each lane that wait in the log, oldest first.
fn waiting(shared: &Shared, limit: usize) -> Result<Vec<Waiting>, ControlError> {
    let configured = lock(&shared.routing).subscriptions.clone();
    let mut found = Vec::new();
    for (sub, subscription) in configured.iter() {
        for event in super::events::waiting(shared, *sub, limit)? {
            let id = crate::model::delivery_id(event.position, subscription.tenant(), &subscription.name, 0);
            let facts = DeliveryFacts {
                delivery: id.0.into_bytes(),
                position: event.position,
                seen: event.seen,
                event_id: event.id.clone(),
                event_type: event.event_type.clone(),
                order: None,
            };
            let key = DeliveryKey { sub: *sub, seq: event.seq, replay: 0 };
            let order = order_key(subscription, &event);
            found.push(Waiting { key, subscription: subscription.clone(), facts, order });
        }
    }
    Ok(found)
}

/// Characters of a whole id.
const WHOLE_ID: usize = 36;

/// Waiting deliveries of each lane among which one is looked for by its id.
const LOOKED_THROUGH: usize = 4096;

/// The one delivery whose id begins with `prefix`, of those that the caller sees, with its attempts, oldest first.
pub(super) fn find(shared: &Shared, caller: &Caller, prefix: &str) -> Result<Found, ControlError> {
    let wanted = prefix.to_ascii_lowercase();
    let sight = Sight::of(shared, caller);
    let mut found: Option<Found> = None;
    let mut others = Vec::new();
    let scanned = shared.state.history(u64::MAX, |lsn, record| {
        let ended = if let Record::Ended { end, .. } = &record { Some((*end, lsn)) } else { None };
        let Some((key, facts, attempt, settled)) = told(record) else { return ControlFlow::Continue(()) };
        let id = uuid::Uuid::from_bytes(facts.delivery).to_string();
        if sight.has(key.sub) && id.starts_with(&wanted) {
            match &mut found {
                None => {
                    let attempts = attempt.into_iter().collect();
                    found = Some(Found { ended, ..Found::new(key, facts, attempts, settled) });
                }
                Some(found) if found.facts.delivery == facts.delivery => found.attempts.extend(attempt),
                Some(_) if !others.contains(&id) => others.push(id),
                Some(_) => {}
            }
        }
        // Nothing else has a whole id, and nothing about it is older than its first attempt.
        let is_first = |attempt: &Attempt| attempt.number == 1;
        let is_complete =
            wanted.len() == WHOLE_ID && found.as_ref().is_some_and(|found| found.attempts.last().is_some_and(is_first));
        if is_complete {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(internal)?;
    if found.is_none() {
        found = found_by_row(shared, &wanted)?.filter(|found| sight.has(found.key.sub));
    }
    if found.is_none() {
        for Waiting { key, facts, order, .. } in waiting(shared, LOOKED_THROUGH)? {
            let id = uuid::Uuid::from_bytes(facts.delivery).to_string();
            let settled = DeliveryStatus::Pending;
            match &found {
                _ if !(sight.has(key.sub) && id.starts_with(&wanted)) => {}
                None => found = Some(Found { order, ..Found::new(key, facts, Vec::new(), settled) }),
                Some(_) => others.push(id),
            }
        }
    }
    let Some(mut found) = found else {
        let message = format!("no delivery {prefix} waits or is in the history; see `spoolhook deliveries list`");
        return Err(ControlError::NotFound(message));
    };
    if !others.is_empty() {
        others.push(uuid::Uuid::from_bytes(found.facts.delivery).to_string());
        return Err(ControlError::Ambiguous(format!("{prefix} fits several deliveries: {}", others.join(", "))));
    }
    found.attempts.reverse();
    found.row = shared.state.view.exception(found.key).map_err(internal)?;
    Ok(found)
}

/// A delivery whose attempts are older than the history, but which still has a row.
pub(super) fn found_by_row(shared: &Shared, id: &str) -> Result<Option<Found>, ControlError> {
    let Ok(id) = uuid::Uuid::parse_str(id) else { return Ok(None) };
    let Some(key) = shared.state.view.find(id.as_bytes()).map_err(internal)? else { return Ok(None) };
    let row = shared.state.view.exception(key).map_err(internal)?;
    let settled = DeliveryStatus::Pending;
    let found = |row: ExceptionRow| Found { row: Some(row.clone()), ..Found::new(key, row.facts, Vec::new(), settled) };
    Ok(row.map(found))
}

/// The status of a delivery that ended without another attempt.
pub(super) fn status_at(end: End) -> DeliveryStatus {
    match end {
        End::Cancelled | End::Superseded => DeliveryStatus::Cancelled,
        End::Expired => DeliveryStatus::Expired,
        End::Unknown => DeliveryStatus::Unknown,
    }
}

pub(in crate::engine) fn subscription_of(shared: &Shared, sub: SubId) -> Result<Arc<Subscription>, ControlError> {
    let configured = lock(&shared.routing).subscriptions.clone();
    configured.get(&sub).cloned().ok_or_else(|| {
        let ledger = shared.state.ledger();
        let name = ledger.lanes.get(&sub).map_or_else(|| sub.0.to_string(), |lane| lane.name.clone());
        ControlError::Conflict(format!("its subscription \"{name}\" is no longer configured"))
    })
}

pub fn show(shared: &Shared, caller: &Caller, id: &str) -> Result<DeliveryDetail, ControlError> {
    let found = find(shared, caller, id)?;
    let subscription = subscription_of(shared, found.key.sub)?;
    let last = found.attempts.last();
    let base = found.row.as_ref().map_or(0, |row| row.base);
    let attempts = u32::try_from(subscription.retry.waits.len()).unwrap_or(u32::MAX - 1) + 1;
    Ok(DeliveryDetail {
        delivery: delivery(&subscription, &found.facts, found.status(), last, found.row.as_ref()),
        url: subscription.masked_url(),
        mode: subscription.mode.as_str().to_owned(),
        dialect: subscription.dialect.clone(),
        max_attempts: attempts.saturating_add(base),
        segment: found.facts.position.segment.to_string(),
        offset: found.facts.position.offset,
        why: why(shared, &subscription, &found)?,
        attempt_log: found.attempts.iter().map(AttemptDetail::from).collect(),
    })
}
