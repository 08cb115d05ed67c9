//! What happens to a segment once everything in it is settled: it is archived, and removed when retention says so.

use std::cell::{OnceCell, RefCell};

use super::doubt::Doubt;
use crate::ingest::Ingest;
use crate::model::{Seq, Timestamp};
use crate::store::{Record, StateReader};

/// Gives up the archived segments that retention no longer keeps, first copying the lines that rows still speak of. Returns
/// what the journal must say about it before the next call, which removes the files. The rows of what was settled below
/// `settled_below` must have reached the view.
pub fn retain(
    ingest: &mut Ingest,
    state: &StateReader,
    settled_below: Seq,
    now: Timestamp,
) -> Result<Vec<Record>, Doubt> {
    let failed = RefCell::new(None);
    let unread = OnceCell::new();
    // A lane that began in the past may still have to read an archived segment.
    let unread = || unread.get_or_init(|| state.ledger().extents.segments_from(settled_below));
    let needed = |segment| match state.view.pinned_offsets(segment) {
        _ if unread().contains(&segment) => None,
        Ok(offsets) => Some(offsets),
        Err(error) => {
            failed.borrow_mut().get_or_insert(error.into());
            None
        }
    };
    let purged = ingest.retain(now, &needed)?;
    match failed.into_inner() {
        Some(doubt) => Err(doubt),
        None => Ok(purged.into_iter().map(|segment| Record::Purged { segment, at: now }).collect()),
    }
}
