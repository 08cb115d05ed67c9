//! The end of what is kept for nobody: deliveries of subscriptions that are gone, and rows that are older than the history.

use std::time::Duration;

use super::doubt::Doubt;
use crate::model::{SubId, Timestamp};
use crate::store::{DeliveryKey, End, ExceptionStatus, LaneState, Origin, Record, StateReader};

/// What waits for a subscription that is gone is held at least this long: a configuration that was put back by then loses
/// nothing.
const HELD_MIN: Duration = Duration::from_secs(3600);
/// Rows handled at a time.
const ROWS_MAX: usize = 1000;

/// The subscriptions that have not been configured for `age` while something waits for them.
pub fn overdue(state: &StateReader, age: Duration, now: Timestamp) -> Vec<SubId> {
    let is_due = |lane: &LaneState| {
        lane.removed.is_some_and(|since| now.since(since) >= age.max(HELD_MIN))
            && lane.books.pending() > 0
            && lane.claimed.is_empty()
    };
    state.ledger().lanes.iter().filter(|(_, lane)| is_due(lane)).map(|(sub, _)| *sub).collect()
}

/// Cancels what waits for removed subscriptions, some of it at a time. Nothing of theirs may be on its way
/// ([`Scheduler::is_home`](crate::dispatch::Scheduler::is_home)), and what was decided about them must be durable. A
/// subscription of which nothing is left is named second: its lane can be forgotten.
pub fn withdraw(state: &StateReader, subs: Vec<SubId>, now: Timestamp) -> Result<(Vec<Record>, Vec<SubId>), Doubt> {
    let (mut records, mut done) = (Vec::new(), Vec::new());
    for sub in subs {
        let lane = state.ledger().lanes.get(&sub).map(|lane| (lane.low, lane.waiting() > 0));
        let Some((low, has_waiting)) = lane else { continue };
        let parked = rows(state, sub, |status, _| status == ExceptionStatus::Parked)?;
        if parked.is_empty() && has_waiting {
            records.push(Record::Withdrawn { sub, at: now });
        }
        if parked.is_empty() || !has_waiting && parked.len() < ROWS_MAX {
            done.push(sub);
        }
        for key in parked {
            let Some(row) = state.view.exception(key)? else { continue };
            let (origin, facts, end) = (Origin::Parked, row.facts, End::Cancelled);
            records.push(Record::Ended { key, origin, facts, end, from: key.seq, low, at: now });
        }
    }
    Ok((records, done))
}

/// Lets failed and unknown deliveries go that have stood still since before `before`, some at a time. `reserve` keeps a
/// delivery from being replayed meanwhile; `false`: somebody is about to. Those named second were reserved for nothing.
pub fn forget(
    state: &StateReader,
    before: Timestamp,
    now: Timestamp,
    reserve: impl Fn(DeliveryKey) -> bool,
) -> Result<(Vec<Record>, Vec<DeliveryKey>), Doubt> {
    let lanes: Vec<SubId> = state.ledger().lanes.keys().copied().collect();
    let (mut records, mut unchanged) = (Vec::new(), Vec::new());
    let is_old =
        |status, updated| matches!(status, ExceptionStatus::Failed | ExceptionStatus::Unknown) && updated < before;
    for sub in lanes {
        for key in rows(state, sub, is_old)? {
            if records.len() >= ROWS_MAX || !reserve(key) {
                continue;
            }
            // It may have been replayed before it was reserved.
            match state.view.exception(key)? {
                Some(row) if is_old(row.status, row.updated) => {
                    records.push(Record::Forgotten { key, was: row.status, at: now });
                }
                _ => unchanged.push(key),
            }
        }
    }
    Ok((records, unchanged))
}

/// The first rows of a lane that `wanted` takes, by status and last change.
fn rows(
    state: &StateReader,
    sub: SubId,
    wanted: impl Fn(ExceptionStatus, Timestamp) -> bool,
) -> Result<Vec<DeliveryKey>, Doubt> {
    let mut found = Vec::new();
    for row in state.view.exceptions(sub) {
        let (key, row) = row?;
        if wanted(row.status, row.updated) {
            found.push(key);
        }
        if found.len() >= ROWS_MAX {
            break;
        }
    }
    Ok(found)
}
