//! Ending a delivery that waits, by hand.

use super::deliveries::{find, subscription_of};
use super::internal;
use crate::admin::api::CancelAnswer;
use crate::admin::{Caller, ControlError};
use crate::dispatch::Withdrawal;
use crate::engine::messages::Then;
use crate::engine::running::Shared;
use crate::model::DeliveryStatus;
use crate::store::{DeliveryFacts, DeliveryKey, End, ExceptionStatus, Origin, Record};

fn in_flight() -> ControlError {
    ControlError::Conflict("it is on its way at this moment; look again when that attempt has ended".to_owned())
}

/// Ends a pending delivery as `cancelled`, durably.
pub fn cancel(shared: &Shared, caller: &Caller, id: &str) -> Result<CancelAnswer, ControlError> {
    let found = find(shared, caller, id)?;
    let id = uuid::Uuid::from_bytes(found.facts.delivery).to_string();
    // What waits for one that is gone is cancelled by the engine itself, in time.
    subscription_of(shared, found.key.sub)?;
    match (found.status(), &found.row) {
        (DeliveryStatus::Pending, Some(_)) => parked(shared, found.key)?,
        (DeliveryStatus::Pending, None) if found.attempts.is_empty() => waiting(shared, found.key, found.facts)?,
        (DeliveryStatus::Pending, None) => return Err(in_flight()),
        (ended, _) => {
            return Err(ControlError::Conflict(format!("it has ended already: {}", ended.as_str())));
        }
    }
    Ok(CancelAnswer { result: "success".to_owned(), message: "Delivery cancelled.".to_owned(), id })
}

/// One that has a row.
fn parked(shared: &Shared, key: DeliveryKey) -> Result<(), ControlError> {
    if !shared.ask(move |scheduler| scheduler.take_back(key)).unwrap_or(false) {
        return Err(in_flight());
    }
    let release = |error| {
        shared.ask(move |scheduler| scheduler.release(key));
        error
    };
    let row = shared.state.view.exception(key).map_err(internal).map_err(release)?;
    let Some(row) = row.filter(|row| row.status == ExceptionStatus::Parked) else { return Err(release(in_flight())) };
    let low = shared.state.ledger().lanes.get(&key.sub).map_or(0, |lane| lane.low);
    let (origin, facts, end) = (Origin::Parked, row.facts, End::Cancelled);
    let record = Record::Ended { key, origin, facts, end, from: key.seq, low, at: shared.clock.now() };
    shared.commit(vec![record], Then::Nothing).map_err(ControlError::Unavailable)
}

/// One that waits in the log. The scheduler writes it down itself: what it decides next must come behind it.
fn waiting(shared: &Shared, key: DeliveryKey, facts: DeliveryFacts) -> Result<(), ControlError> {
    let now = shared.clock.now();
    let answer = shared.ask(move |scheduler| scheduler.withdraw(key, &facts, now));
    let stopping = || ControlError::Unavailable("the engine is stopping".to_owned());
    match answer.ok_or_else(stopping)? {
        Withdrawal::Done => {}
        Withdrawal::InHand | Withdrawal::NoLane => return Err(in_flight()),
    }
    // A question is answered behind what was decided before it, and a commit is durable behind those before it.
    shared.ask(|_| ()).ok_or_else(stopping)?;
    shared.commit(Vec::new(), Then::Nothing).map_err(ControlError::Unavailable)
}
