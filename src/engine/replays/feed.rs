//! Handing deliveries of a job to their lane: each is looked at once more, and those that still stand as they stood go
//! back to pending in one commit.

use super::book::Batch;
use super::list::Entry;
use crate::engine::control::{again, delivered, new_delivery, replay_key, subscription_of};
use crate::engine::messages::Then;
use crate::engine::running::Shared;
use crate::model::{Mode, Subscription, Timestamp};
use crate::store::{DeliveryFacts, DeliveryKey, ExceptionRow, ExceptionStatus, Record};

/// Why one was left alone: a word for programs, and a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    pub message: &'static str,
}

const IN_FLIGHT: Refusal =
    Refusal { reason: "in_flight", message: "it is on its way at this moment; look again when that attempt has ended" };
const CHANGED: Refusal =
    Refusal { reason: "in_flight", message: "its state has changed since it was looked up; look again" };
const GONE: Refusal = Refusal { reason: "gone", message: "its payload is no longer kept: retention removed it" };
const REMOVED: Refusal = Refusal { reason: "disabled", message: "its subscription is no longer configured" };
const NO_CONSENT: Refusal = Refusal {
    reason: "consent_required",
    message: "this subscription is at-most-once: the receiver may get the event a second time",
};

/// What came of one: the id of the delivery that is sent.
pub type Fed = (u32, Result<[u8; 16], Refusal>);

/// The engine is stopping: a start takes the job up from the journal.
#[derive(Debug)]
pub struct Stopped;

/// Hands a batch over, durably. Its deliveries are all of one subscription.
pub fn feed(shared: &Shared, batch: Batch) -> Result<Vec<Fed>, Stopped> {
    let Batch { id, consent, entries } = batch;
    let Some(sub) = entries.first().map(|(_, entry, _)| entry.key.sub) else { return Ok(Vec::new()) };
    let all_refused = |refusal: Refusal| {
        let skipped: Vec<u32> = entries.iter().map(|(at, ..)| *at).collect();
        shared.jobs.settle_batch(&id, &[], &skipped);
        skipped.into_iter().map(|at| (at, Err(refusal))).collect()
    };
    let Ok(subscription) = subscription_of(shared, sub) else { return Ok(all_refused(REMOVED)) };
    let is_new = subscription.mode == Mode::AtMostOnce;
    if is_new && !consent {
        return Ok(all_refused(NO_CONSENT));
    }
    let now = shared.schedule_now();
    let own = |entry: &Entry| if is_new { replay_key(shared, entry.key) } else { entry.key };
    let keys: Vec<DeliveryKey> = entries.iter().map(|(_, entry, _)| own(entry)).collect();
    // From here to the commit the scheduler keeps its hands off them.
    let wanted = keys.clone();
    let reserved =
        shared.ask(move |scheduler| wanted.into_iter().map(|key| scheduler.reserve(key)).collect::<Vec<_>>());
    let mut fed = Vec::with_capacity(entries.len());
    let (mut records, mut sent, mut unused) = (Vec::new(), Vec::new(), Vec::new());
    for (((at, entry, facts), key), is_reserved) in entries.iter().zip(&keys).zip(reserved.ok_or(Stopped)?) {
        let made = match is_reserved {
            true => record(shared, &subscription, entry, facts.as_ref(), *key, now),
            false => Err(IN_FLIGHT),
        };
        match made {
            Ok((record, delivery)) => {
                records.push(record);
                sent.push((*at, *key));
                fed.push((*at, Ok(delivery)));
            }
            Err(refusal) => {
                unused.extend(is_reserved.then_some(*key));
                fed.push((*at, Err(refusal)));
            }
        }
    }
    if !unused.is_empty() {
        shared.ask(move |scheduler| unused.into_iter().for_each(|key| scheduler.release(key)));
    }
    let skipped: Vec<u32> = fed.iter().filter(|(_, result)| result.is_err()).map(|(at, _)| *at).collect();
    shared.jobs.settle_batch(&id, &sent, &skipped);
    if !records.is_empty() {
        shared.commit(records, Then::Nothing).map_err(|_| Stopped)?;
    }
    Ok(fed)
}

/// The record that sends one again, and the id that it goes under.
fn record(
    shared: &Shared,
    subscription: &Subscription,
    entry: &Entry,
    facts: Option<&DeliveryFacts>,
    key: DeliveryKey,
    now: Timestamp,
) -> Result<(Record, [u8; 16]), Refusal> {
    let row = shared.state.view.exception(entry.key).map_err(|_| CHANGED)?;
    let row = match (row, facts) {
        (Some(row), _) if stands(&row, entry) => row,
        (None, Some(facts)) if entry.was == ExceptionStatus::Delivered => delivered(facts, entry.attempts, now),
        _ => return Err(CHANGED),
    };
    let kept = shared.log.event_at(row.facts.position, entry.key.seq, row.facts.seen);
    if !matches!(kept, Ok(Some(_))) {
        return Err(GONE);
    }
    Ok(if key == entry.key {
        let (was, row) = (row.status, again(row, now));
        let delivery = row.facts.delivery;
        (Record::Retriggered { key, row, was, at: now }, delivery)
    } else {
        let row = new_delivery(&row.facts, subscription, key, now);
        let delivery = row.facts.delivery;
        (Record::Replayed { key, row, at: now }, delivery)
    })
}

/// Whether a row is as it was when the list was made.
fn stands(row: &ExceptionRow, entry: &Entry) -> bool {
    (row.status, row.attempts, row.base) == (entry.was, entry.attempts, entry.base)
}
