//! After a start that found something missing: what the books and the at-most-once promise demand then.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::audit::waiting_in_log;
use super::running::EngineError;
use crate::ingest::LogReader;
use crate::model::{Mode, SegmentId, Subscription, Timestamp};
use crate::store::{End, ExceptionStatus, Origin, Record, StateReader};

/// Parked at-most-once deliveries (somebody had them sent again) may have been sent since the records that are left: they
/// become unknown. Of a subscription that is not configured nobody knows the mode, but only at-most-once deliveries are made
/// again under a number of their own.
pub(super) fn doubt_parked<T>(
    state: &StateReader,
    wanted: &[(Arc<Subscription>, Arc<T>)],
    now: Timestamp,
) -> Result<Vec<Record>, EngineError> {
    let mut records = Vec::new();
    let ledger = state.ledger();
    for (sub, lane) in &ledger.lanes {
        let mut configured = wanted.iter().map(|(subscription, _)| subscription);
        let configured = configured.find(|each| each.tenant() == lane.tenant && each.name == lane.name);
        let is_at_most_once = configured.is_some_and(|each| each.mode == Mode::AtMostOnce);
        for item in state.view.exceptions(*sub) {
            let (key, row) = item.map_err(|error| EngineError::State(error.into()))?;
            // A claim says the same, and has been settled.
            let is_claimed = lane.claimed.contains_key(&(key.seq, key.replay));
            let is_in_doubt = is_at_most_once || configured.is_none() && key.replay > 0;
            if row.status == ExceptionStatus::Parked && is_in_doubt && !is_claimed {
                let (facts, low, from) = (row.facts, lane.low, key.seq);
                let (origin, end) = (Origin::Parked, End::Unknown);
                records.push(Record::Ended { key, origin, facts, end, from, low, at: now });
            }
        }
    }
    Ok(records)
}

/// The segments whose files are gone, and whether anything waited in one of them.
pub(super) fn gone_segments(state: &StateReader, log: &LogReader) -> (BTreeSet<SegmentId>, bool) {
    let ledger = state.ledger();
    let kept = ledger.extents.segments();
    let gone: BTreeSet<_> = kept.into_iter().filter(|segment| !log.is_kept(*segment)).collect();
    let unread = if gone.is_empty() { BTreeSet::new() } else { ledger.extents.segments_from(ledger.settled_below()) };
    let has_waiting = !gone.is_disjoint(&unread);
    (gone, has_waiting)
}

/// Counts what waits in the log. Deliveries that the books say wait there and that are not found are written off: the
/// records, and a sentence about each subscription.
pub(super) fn write_off(
    state: &StateReader,
    log: &LogReader,
    now: Timestamp,
) -> Result<(Vec<Record>, Vec<String>), EngineError> {
    let ledger = state.ledger().clone();
    let found = waiting_in_log(&ledger, log).map_err(|error| EngineError::Setup(error.to_string()))?;
    // What cannot be read now may be read later: nothing is written off on such grounds.
    let Some(found) = found else { return Ok((Vec::new(), Vec::new())) };
    let mut records = Vec::new();
    let mut sentences = Vec::new();
    for (sub, lane) in &ledger.lanes {
        let count = lane.waiting().saturating_sub(found.get(sub).copied().unwrap_or(0));
        if count > 0 {
            records.push(Record::Dropped { sub: *sub, count, at: now });
            sentences.push(format!(
                "{count} deliveries of {}/{} waited for events that are no longer in the spool, or were sent by an engine \
                 whose records are lost: they are counted as dropped",
                lane.tenant, lane.name
            ));
        }
    }
    Ok((records, sentences))
}
