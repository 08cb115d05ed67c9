//! When the view's rows come from records that are lost, and there is no checkpoint from before: the ledger follows the rows.

use std::collections::BTreeMap;

use super::ledger::{Ledger, RowChange};
use super::record::ExceptionStatus;
use super::view::{Dirty, View, ViewError};
use crate::model::SubId;

/// Makes `ledger` count the rows that are there. A row of an event that the ledger has not taken in yet goes: the event will
/// be taken in, and judged, again.
pub(super) fn follow_rows(view: &View, ledger: &mut Ledger, dirty: &mut Dirty) -> Result<(), ViewError> {
    let mut counts: BTreeMap<SubId, [u64; 3]> = ledger.lanes.keys().map(|sub| (*sub, [0; 3])).collect();
    let mut strays = Vec::new();
    for item in view.all_exceptions() {
        let (key, row) = item?;
        let lane = ledger.lanes.get_mut(&key.sub).filter(|_| key.seq < ledger.next_seq);
        let (Some(lane), Some(counts)) = (lane, counts.get_mut(&key.sub)) else {
            strays.push(RowChange::Delete(key));
            continue;
        };
        if key.replay == 0 && key.seq >= lane.low {
            lane.passed.insert(key.seq..key.seq + 1);
        }
        lane.claimed.remove(&(key.seq, key.replay));
        match row.status {
            ExceptionStatus::Parked => counts[0] += 1,
            ExceptionStatus::Failed => counts[1] += 1,
            ExceptionStatus::Unknown => counts[2] += 1,
            ExceptionStatus::Delivered => {}
        }
    }
    view.apply(&strays, ledger.lsn)?;
    for (sub, lane) in &mut ledger.lanes {
        let [parked, failed, unknown] = counts.get(sub).copied().unwrap_or_default();
        lane.parked = parked;
        lane.books.failed = failed + lane.forgotten.failed;
        lane.books.unknown = unknown + lane.forgotten.unknown;
        dirty.lanes.insert(*sub);
    }
    dirty.records += 1;
    Ok(())
}
