//! Sending a delivery again by hand.
//!
//! An at-least-once delivery goes back to pending under its own id. An at-most-once one is never sent twice under one id:
//! with the caller's consent a new delivery is made that names the old one.

use super::deliveries::{find, subscription_of};
use crate::admin::api::ReplayRow;
use crate::admin::{Caller, ControlError};
use crate::engine::messages::Then;
use crate::engine::running::{Shared, lock};
use crate::model::{DeliveryStatus, Mode, Subscription, Timestamp, delivery_id};
use crate::store::{DeliveryFacts, DeliveryKey, ExceptionRow, ExceptionStatus, Record};

fn refused(id: &str, reason: &str, message: impl Into<String>) -> ReplayRow {
    ReplayRow {
        id: id.to_owned(),
        accepted: false,
        reason: Some(reason.to_owned()),
        message: message.into(),
        delivery_id: None,
    }
}

pub fn one(shared: &Shared, caller: &Caller, id: &str, consent: bool) -> ReplayRow {
    match attempt(shared, caller, id, consent) {
        Ok(row) => row,
        Err(ControlError::NotFound(message)) => refused(id, "not_found", message),
        Err(ControlError::Ambiguous(message)) => refused(id, "ambiguous", message),
        Err(other) => refused(id, "disabled", other.to_string()),
    }
}

fn attempt(shared: &Shared, caller: &Caller, id: &str, consent: bool) -> Result<ReplayRow, ControlError> {
    let found = find(shared, caller, id)?;
    if found.attempts.is_empty() && found.row.is_none() && found.settled == DeliveryStatus::Pending {
        return Ok(refused(id, "in_flight", "it waits for its first attempt; there is nothing to repeat yet"));
    }
    if matches!(found.settled, DeliveryStatus::Cancelled | DeliveryStatus::Expired) {
        return Ok(refused(id, "ended", "it was ended without an attempt and cannot be taken up again"));
    }
    let subscription = subscription_of(shared, found.key.sub)?;
    let kept = shared.log.event_at(found.facts.position, found.key.seq, found.facts.seen).map_err(super::internal)?;
    if kept.is_none() {
        return Ok(refused(id, "gone", "its payload is no longer kept: retention removed it"));
    }
    let at_most_once = subscription.mode == Mode::AtMostOnce;
    if at_most_once && !consent {
        let message = "this subscription is at-most-once: the receiver may get the event a second time. \
                       With consent (--yes; in a request \"consent\": true) it is sent as a new delivery";
        return Ok(refused(id, "consent_required", message));
    }
    let now = shared.schedule_now();
    let key = if at_most_once { replay_key(shared, found.key) } else { found.key };
    // From here to the commit the scheduler keeps its hands off this delivery.
    if !shared.ask(move |scheduler| scheduler.reserve(key)).unwrap_or(false) {
        return Ok(refused(id, "in_flight", "it is on its way at this moment; look again when that attempt has ended"));
    }
    let row = shared.state.view.exception(key).map_err(|error| {
        shared.ask(move |scheduler| scheduler.release(key));
        super::internal(error)
    })?;
    let record = if at_most_once {
        Record::Replayed { key, row: new_delivery(&found.facts, &subscription, key, now), at: now }
    } else {
        let was = row.as_ref().map_or(ExceptionStatus::Delivered, |row| row.status);
        if row.is_none() && found.status() != DeliveryStatus::Delivered {
            shared.ask(move |scheduler| scheduler.release(key));
            return Ok(refused(id, "in_flight", "its state is changing at this moment; look again"));
        }
        let attempts = found.attempts.last().map_or(0, |attempt| attempt.number);
        let row = row.unwrap_or_else(|| delivered(&found.facts, attempts, now));
        Record::Retriggered { key, row: again(row, now), was, at: now }
    };
    let delivery = match &record {
        Record::Replayed { row, .. } | Record::Retriggered { row, .. } => row.facts.delivery,
        _ => found.facts.delivery,
    };
    shared.commit(vec![record], Then::Nothing).map_err(ControlError::Unavailable)?;
    Ok(ReplayRow {
        id: id.to_owned(),
        accepted: true,
        reason: None,
        message: "it is pending and due now".to_owned(),
        delivery_id: Some(uuid::Uuid::from_bytes(delivery).to_string()),
    })
}

/// The key of a delivery made anew from that of `key`.
pub(in crate::engine) fn replay_key(shared: &Shared, key: DeliveryKey) -> DeliveryKey {
    // Never the same number twice; seconds since 1970, so that this holds after the state was lost, too.
    let mut last = lock(&shared.replays);
    let seconds = u32::try_from(shared.clock.now().as_secs()).unwrap_or(u32::MAX);
    let known = shared.state.ledger().last_replay.max(*last);
    *last = seconds.max(known.saturating_add(1));
    DeliveryKey { replay: *last, ..key }
}

/// The row of a delivery that repeats the one of which `facts` speak.
pub(in crate::engine) fn new_delivery(
    facts: &DeliveryFacts,
    subscription: &Subscription,
    key: DeliveryKey,
    now: Timestamp,
) -> ExceptionRow {
    let id = delivery_id(facts.position, subscription.tenant(), &subscription.name, key.replay);
    let mut facts = facts.clone();
    let replay_of = Some(facts.delivery);
    facts.delivery = id.0.into_bytes();
    facts.order = None;
    ExceptionRow {
        status: ExceptionStatus::Parked,
        facts,
        due: now,
        attempts: 0,
        base: 0,
        last: None,
        replay_of,
        updated: now,
    }
}

/// The row of a delivery that had none and had made so many attempts.
pub(in crate::engine) fn delivered(facts: &DeliveryFacts, attempts: u32, now: Timestamp) -> ExceptionRow {
    ExceptionRow {
        status: ExceptionStatus::Delivered,
        facts: facts.clone(),
        due: now,
        attempts,
        base: attempts,
        last: None,
        replay_of: None,
        updated: now,
    }
}

/// The row of a delivery that is sent again under its own id.
pub(in crate::engine) fn again(row: ExceptionRow, now: Timestamp) -> ExceptionRow {
    // What is asked for by hand goes at once and holds nothing up.
    let facts = DeliveryFacts { order: None, ..row.facts.clone() };
    ExceptionRow { status: ExceptionStatus::Parked, facts, due: now, base: row.attempts, updated: now, ..row }
}
