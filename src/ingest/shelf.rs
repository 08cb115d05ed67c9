//! Segments that are finished: sealed ones waiting for their deliveries, archived ones waiting for their end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::model::{SegmentId, Seq, Timestamp};

/// Read to its end; nobody can write to it any more.
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    pub(super) consumed: u64,
    /// Settled when every event with a smaller number is.
    pub(super) settled_at: Seq,
    /// False when only silence says that nobody writes to it.
    pub(super) proven: bool,
}

/// Delivered, and kept for retention.
pub(super) struct Archived {
    pub(super) path: PathBuf,
    pub(super) consumed: u64,
    pub(super) len: u64,
    pub(super) since: Timestamp,
}

#[derive(Default)]
pub(super) struct Shelf {
    pub(super) sealed: BTreeMap<SegmentId, Sealed>,
    /// Oldest first.
    pub(super) archived: BTreeMap<(Timestamp, SegmentId), Archived>,
    pub(super) archived_bytes: u64,
    /// No longer kept. Their files go once the journal says so.
    pub(super) given_up: Vec<Archived>,
    /// Archived segments that may still grow.
    pub(super) suspects: BTreeMap<SegmentId, Timestamp>,
    /// Segments of which only single lines are left.
    pub(super) remnants: BTreeSet<SegmentId>,
}

impl Shelf {
    pub(super) fn archive(&mut self, id: SegmentId, archived: Archived) {
        self.archived_bytes += archived.len;
        self.archived.insert((archived.since, id), archived);
    }

    pub(super) fn take_archived(&mut self, key: (Timestamp, SegmentId)) -> Option<Archived> {
        let archived = self.archived.remove(&key)?;
        self.archived_bytes -= archived.len;
        self.suspects.remove(&key.1);
        Some(archived)
    }
}
