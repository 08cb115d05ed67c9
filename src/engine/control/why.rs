//! Why a delivery stands where it stands, in sentences.

use std::ops::ControlFlow;

use super::deliveries::Found;
use super::internal;
use crate::admin::ControlError;
use crate::config::say_duration;
use crate::dispatch::{Brake, Holdup};
use crate::engine::running::Shared;
use crate::model::{DeliveryStatus, Mode, SubId, Subscription};
use crate::store::{DeliveryKey, End, Record};

/// What came of the last attempt, and what is waited for or why it ended.
pub(super) fn why(shared: &Shared, subscription: &Subscription, found: &Found) -> Result<String, ControlError> {
    let answer = match found.attempts.last() {
        None if found.status() == DeliveryStatus::Unknown => {
            "The event was in the spool before the state was: nobody knows whether it was sent.".to_owned()
        }
        None => "Nothing was sent yet.".to_owned(),
        Some(attempt) => match attempt.exchange.status_code {
            Some(code) => format!("The receiver answered {code}."),
            None => format!("There was no answer ({}): {}.", attempt.outcome.as_str(), attempt.exchange.error),
        },
    };
    let next = match found.status() {
        DeliveryStatus::Delivered => "It is delivered.".to_owned(),
        DeliveryStatus::Pending => waits(shared, subscription, found)?,
        DeliveryStatus::Cancelled => cancelled(shared, found)?.to_owned(),
        DeliveryStatus::Unknown => {
            "The receiver may have it, so this at-most-once delivery is not sent again by itself.".to_owned()
        }
        DeliveryStatus::Expired if subscription.mode == Mode::AtMostOnce && !found.attempts.is_empty() => {
            "Its subscription became at-most-once after it was tried, so it is not tried again.".to_owned()
        }
        DeliveryStatus::Expired => "Its event was no longer kept when it could have been sent.".to_owned(),
        DeliveryStatus::Failed => "No attempt is left; replay it when the cause is mended.".to_owned(),
    };
    Ok(format!("{answer} {next}"))
}

/// Who cancelled it. By hand it can be done only while the subscription is there.
fn cancelled(shared: &Shared, found: &Found) -> Result<&'static str, ControlError> {
    let by_hand = "It was cancelled by hand; `GET /v1/changes` says by whom.";
    match found.ended {
        Some((End::Superseded, _)) => Ok("A newer state of its key took its place (`supersede`)."),
        Some((_, lsn)) if was_gone(shared, found.key.sub, lsn)? => {
            Ok("Its subscription was removed and did not come back in time, so what waited for it was cancelled.")
        }
        _ => Ok(by_hand),
    }
}

/// Whether the subscription was not configured when the record `lsn` was written, as far as the history reaches.
fn was_gone(shared: &Shared, wanted: SubId, lsn: u64) -> Result<bool, ControlError> {
    let mut is_gone = false;
    let scanned = shared.state.history(lsn, |_, record| match record {
        Record::Unsubscribed { sub, .. } if sub == wanted => {
            is_gone = true;
            ControlFlow::Break(())
        }
        Record::Subscribed { sub, .. } if sub == wanted => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    scanned.map_err(internal)?;
    Ok(is_gone)
}

/// When it is tried, and what holds it back as far as the engine knows.
fn waits(shared: &Shared, subscription: &Subscription, found: &Found) -> Result<String, ControlError> {
    let now = shared.schedule_now();
    let order = found.row.as_ref().map_or(found.order, |row| row.facts.order);
    let (key, is_row) = (found.key, found.row.is_some());
    let holdup = shared.ask(move |scheduler| scheduler.holdup(key, order, is_row, now)).flatten();
    if holdup == Some(Holdup::OnItsWay) {
        return Ok("It is on its way at this moment.".to_owned());
    }
    let when = match found.row.as_ref() {
        Some(row) if row.due > now => format!("It will be tried again at {}.", row.due),
        None if found.attempts.is_empty() => "It waits for its first attempt.".to_owned(),
        _ => "It will be tried again as soon as its lane may send.".to_owned(),
    };
    let is_due = found.row.as_ref().is_none_or(|row| row.due <= now);
    let because = match holdup {
        Some(holdup) if is_due || outlasts_retry(&holdup) => said(shared, subscription, found.key, holdup)?,
        _ => return Ok(when),
    };
    Ok(format!("{when} {because}"))
}

/// What may still be so when a retry comes due, and is not for the next moments only.
fn outlasts_retry(holdup: &Holdup) -> bool {
    matches!(holdup, Holdup::Off | Holdup::Paused(_) | Holdup::Behind(_))
}

fn said(
    shared: &Shared,
    subscription: &Subscription,
    key: DeliveryKey,
    holdup: Holdup,
) -> Result<String, ControlError> {
    let name = &subscription.name;
    Ok(match holdup {
        Holdup::OnItsWay => String::new(),
        Holdup::Off => format!("Its subscription \"{name}\" is switched off: nothing is sent until it is switched on."),
        Holdup::Paused(reason) => {
            format!("Its subscription is paused ({reason}): nothing is sent until `spoolhook subs resume {name}`.")
        }
        Holdup::Behind((seq, replay)) => {
            let ahead = DeliveryKey { sub: key.sub, seq, replay };
            let row = shared.state.view.exception(ahead).map_err(internal)?;
            let id = row.map(|row| format!(", {},", uuid::Uuid::from_bytes(row.facts.delivery))).unwrap_or_default();
            format!("An earlier delivery of its key{id} is to be settled first (`order_by`).")
        }
        Holdup::Pace(brake) => braked(brake),
        Holdup::Workers => "Every worker that its endpoint may have is busy.".to_owned(),
        Holdup::Turn => "It goes out when those before it have.".to_owned(),
    })
}

fn braked(brake: Brake) -> String {
    match brake {
        Brake::Full(1) => "One request to its endpoint is under way, and no more may be at present.".to_owned(),
        Brake::Full(count) => {
            format!("{count} requests to its endpoint are under way, and no more may be at present.")
        }
        Brake::Quiet(until) => format!("The receiver asked to be left alone until {until} (Retry-After)."),
        Brake::Breaker(until) => {
            format!("Its endpoint gave nothing but failures; the next first attempt goes out at {until}.")
        }
        Brake::Probe => {
            "Its endpoint gave nothing but failures; one attempt is under way to see whether it is well.".to_owned()
        }
        Brake::Rate(rate, at) => {
            let limit = format!("{}/{}", rate.count, say_duration(rate.per));
            format!("The rate limit ({limit}) lets the next one go at {at}.")
        }
    }
}
