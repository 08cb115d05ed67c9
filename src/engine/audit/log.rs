//! The log against the books: every kept line is read again.

use std::collections::{BTreeMap, BTreeSet};

use super::AuditError;
use super::differences::Differences;
use crate::engine::catchup::EraFilters;
use crate::ingest::LogReader;
use crate::model::{SegmentId, Seq, SubId};
use crate::store::Ledger;

/// Counts, for each lane, the kept events at or above its low mark that it takes and has not judged.
pub(super) fn waiting(
    ledger: &Ledger,
    log: &LogReader,
    differences: &mut Differences,
) -> Result<BTreeMap<SubId, u64>, AuditError> {
    let mut waiting = BTreeMap::new();
    let mut filters = EraFilters::default();
    let mut expected: Option<Seq> = None;
    for group in ledger.extents.groups() {
        for extent in &group {
            if let Some(expected) = expected.filter(|expected| *expected > extent.first_seq) {
                differences.add(format!("spool: event {} was taken twice (next was {expected})", extent.first_seq));
            }
            expected = Some(extent.next_seq());
        }
        let events = match log.read_all(&group) {
            Ok(events) => events,
            Err(error) => {
                differences.add(format!("spool: {error}"));
                continue;
            }
        };
        for (sub, lane) in &ledger.lanes {
            if expected.is_some_and(|end| end <= lane.low) {
                continue;
            }
            for event in events.iter().filter(|event| event.seq >= lane.low && !lane.passed.contains(&event.seq)) {
                let filter =
                    filters.at(*sub, &lane.eras, event.seq).map_err(|doubt| AuditError::Filter(doubt.reason))?;
                if filter.is_some_and(|filter| filter.matches(event)) {
                    *waiting.entry(*sub).or_insert(0) += 1;
                }
            }
        }
    }
    Ok(waiting)
}

/// Looks for every rejected line of kept segments in the quarantine.
pub(super) fn quarantine(ledger: &Ledger, log: &LogReader, differences: &mut Differences) {
    let rejected = ledger.extents.iter().filter(|extent| extent.quarantined > 0).map(|extent| extent.segment);
    for segment in rejected.collect::<BTreeSet<SegmentId>>() {
        let lines = ledger.extents.of(segment).filter(|extent| extent.quarantined > 0);
        log.check_quarantine(segment, lines, &mut |sentence| differences.add(sentence));
    }
}
