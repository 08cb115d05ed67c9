//! Deliveries that are named: found in one look through the history, and answered for one by one.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::deliveries::{Found, find, found_by_row, told};
use super::internal;
use crate::admin::api::{ReplayDirection, ReplayOrder, ReplayRow};
use crate::admin::{Caller, ControlError};
use crate::engine::replays::{Entry, Fed, Selection, Wanted};
use crate::engine::running::Shared;
use crate::model::{DeliveryStatus, Mode, SubId, Subscription};
use crate::store::{ExceptionStatus, Record};

/// The row of one id.
pub(super) enum Answered {
    Refused(ReplayRow),
    /// It is on the job's list, at this place. The id it will have; none when that is a new one.
    Listed {
        id: String,
        at: u32,
        delivery: Option<[u8; 16]>,
    },
}

impl Answered {
    /// As the answer has it, now that these have been handed over.
    pub fn row(self, fed: &[Fed]) -> ReplayRow {
        let (id, at, known) = match self {
            Self::Refused(row) => return row,
            Self::Listed { id, at, delivery } => (id, at, delivery),
        };
        let (delivery, message) = match fed.iter().find(|(place, _)| *place == at) {
            Some((_, Err(refusal))) => return refused(&id, refusal.reason, refusal.message),
            Some((_, Ok(delivery))) => (Some(*delivery), "it is pending and due now"),
            None => (known, "it will be sent"),
        };
        ReplayRow {
            id,
            accepted: true,
            reason: None,
            message: message.to_owned(),
            delivery_id: delivery.map(|delivery| uuid::Uuid::from_bytes(delivery).to_string()),
        }
    }
}

fn refused(id: &str, reason: &str, message: impl Into<String>) -> ReplayRow {
    let (id, message) = (id.to_owned(), message.into());
    ReplayRow { id, accepted: false, reason: Some(reason.to_owned()), message, delivery_id: None }
}

/// A reason not to send one, and a sentence.
type No = (&'static str, String);

/// The deliveries named by `order` as a list, and a row for each id.
pub(super) fn resolve(
    shared: &Shared,
    caller: &Caller,
    order: &ReplayOrder,
    wanted: &Wanted,
) -> Result<(Selection, Vec<Answered>), ControlError> {
    let visible: HashMap<SubId, &Arc<Subscription>> =
        wanted.subscriptions.iter().map(|(sub, subscription)| (*sub, subscription)).collect();
    let mut by_sub: BTreeMap<SubId, Vec<(usize, Found)>> = BTreeMap::new();
    let mut rows: BTreeMap<usize, Answered> = BTreeMap::new();
    for (place, (id, found)) in order.ids.iter().zip(find_all(shared, caller, &order.ids)?).enumerate() {
        let judged = match found {
            Ok(found) => judge(shared, caller, order, wanted, &visible, &found)?.map_or(Ok(found), Err),
            Err(ControlError::NotFound(message)) => Err(("not_found", message)),
            Err(ControlError::Ambiguous(message)) => Err(("ambiguous", message)),
            Err(other) => return Err(other),
        };
        match judged {
            Err((reason, message)) => drop(rows.insert(place, Answered::Refused(refused(id, reason, message)))),
            Ok(found) => by_sub.entry(found.key.sub).or_default().push((place, found)),
        }
    }
    let mut selection = Selection::default();
    for (sub, mut found) in by_sub {
        let Some(subscription) = visible.get(&sub) else { continue };
        found.sort_by_key(|(place, found)| (found.key, *place));
        found.dedup_by(|(place, later), (_, first)| {
            let is_same = later.key == first.key;
            if is_same {
                let row = refused(&order.ids[*place], "in_flight", "it is named twice");
                rows.insert(*place, Answered::Refused(row));
            }
            is_same
        });
        if order.order == ReplayDirection::Newest {
            found.reverse();
        }
        for (place, found) in &found {
            let attempts = found.attempts.last().map_or(0, |attempt| attempt.number);
            let entry = match &found.row {
                Some(row) => Entry { key: found.key, was: row.status, attempts: row.attempts, base: row.base },
                None => Entry { key: found.key, was: ExceptionStatus::Delivered, attempts, base: attempts },
            };
            let delivery = (subscription.mode == Mode::AtLeastOnce).then_some(found.facts.delivery);
            let at = selection.snapshot.entries.len() as u32;
            rows.insert(*place, Answered::Listed { id: order.ids[*place].clone(), at, delivery });
            selection.add(entry, &found.facts, subscription);
        }
        selection.close(subscription, found.len() as u64);
    }
    Ok((selection, rows.into_values().collect()))
}

/// Why one cannot be sent again, if it cannot.
fn judge(
    shared: &Shared,
    caller: &Caller,
    order: &ReplayOrder,
    wanted: &Wanted,
    visible: &HashMap<SubId, &Arc<Subscription>>,
    found: &Found,
) -> Result<Option<No>, ControlError> {
    let tenant = shared.state.ledger().lanes.get(&found.key.sub).map(|lane| lane.tenant.clone());
    if !tenant.is_some_and(|tenant| caller.sees(&tenant)) {
        let id = uuid::Uuid::from_bytes(found.facts.delivery);
        let message = format!("no delivery {id} waits or is in the history; see `spoolhook deliveries list`");
        return Ok(Some(("not_found", message)));
    }
    let no = |reason, message: &str| Ok(Some((reason, message.to_owned())));
    let status = found.status();
    if found.attempts.is_empty() && found.row.is_none() && status == DeliveryStatus::Pending {
        return no("in_flight", "it waits for its first attempt; there is nothing to repeat yet");
    }
    if matches!(status, DeliveryStatus::Cancelled | DeliveryStatus::Expired) {
        return no("ended", "it was ended without an attempt and cannot be taken up again");
    }
    let Some(subscription) = visible.get(&found.key.sub) else {
        return match order.subscription.is_some() || order.tenant.is_some() {
            true => no("filtered", "the filter does not take it"),
            false => no("disabled", "its subscription is no longer configured"),
        };
    };
    let row = found.row.as_ref().map(|row| row.status);
    let is_status = wanted.statuses.is_empty() || row.is_some_and(|status| wanted.statuses.contains(&status));
    let outcome = found.attempts.last().map(|attempt| attempt.outcome);
    let outcome = outcome.or_else(|| found.row.as_ref()?.last.as_ref().map(|last| last.outcome));
    if !is_status || !wanted.takes_facts(&found.facts) || !wanted.takes_outcome(outcome) {
        return no("filtered", "the filter does not take it");
    }
    if row.is_none() && status != DeliveryStatus::Delivered {
        return no("in_flight", "its state is changing at this moment; look again");
    }
    let kept = shared.log.event_at(found.facts.position, found.key.seq, found.facts.seen).map_err(internal)?;
    if kept.is_none() {
        return no("gone", "its payload is no longer kept: retention removed it");
    }
    if subscription.mode == Mode::AtMostOnce && !order.consent {
        let message = "this subscription is at-most-once: the receiver may get the event a second time. \
                       With consent (--yes; in a request \"consent\": true) it is sent as a new delivery";
        return no("consent_required", message);
    }
    Ok(None)
}

/// Each of `ids`: whole ones by their rows, or in one look through the history; prefixes one by one.
fn find_all(
    shared: &Shared,
    caller: &Caller,
    ids: &[String],
) -> Result<Vec<Result<Found, ControlError>>, ControlError> {
    let mut found: BTreeMap<usize, Found> = BTreeMap::new();
    let mut open: HashMap<[u8; 16], Vec<usize>> = HashMap::new();
    for (place, id) in ids.iter().enumerate().filter(|(_, id)| id.len() == 36) {
        let Ok(uuid) = uuid::Uuid::parse_str(id) else { continue };
        match found_by_row(shared, id)? {
            Some(row) => drop(found.insert(place, row)),
            None => open.entry(*uuid.as_bytes()).or_default().push(place),
        }
    }
    // One alone is looked up as a prefix is, also among those that wait in the log.
    if open.len() > 1 {
        let scanned = shared.state.history(u64::MAX, |_, record: Record| {
            let Some((key, facts, attempt, settled)) = told(record) else { return ControlFlow::Continue(()) };
            for place in open.remove(&facts.delivery).unwrap_or_default() {
                let (facts, attempts) = (facts.clone(), attempt.clone().into_iter().collect());
                found.insert(place, Found::new(key, facts, attempts, settled));
            }
            if open.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        scanned.map_err(internal)?;
    }
    let each = |(place, id): (usize, &String)| match found.remove(&place) {
        Some(found) => Ok(found),
        None => find(shared, caller, id),
    };
    Ok(ids.iter().enumerate().map(each).collect())
}
