//! What goes into and comes out of the taking-in of events.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Event, Extent, SegmentId, Seq, Timestamp};

use super::log::LogCursor;

/// What is durable from the run before: where to go on.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// Number of the next event; 1 in a new spool.
    pub next_seq: Seq,
    /// End of the last durable extent of each segment.
    pub consumed: HashMap<SegmentId, u64>,
    pub log_cursors: Vec<LogCursor>,
    /// The greatest segment id ever seen.
    pub last_segment: Option<SegmentId>,
    /// Set when records were lost: what is archived may not have been dealt with.
    pub lost: Option<Lost>,
}

/// What a state that has lost records still knows.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// Segments that rows of single deliveries speak of.
    pub pinned: BTreeSet<SegmentId>,
}

/// A stretch of one segment, ready to be made an extent of the journal: all of it or nothing.
#[derive(Debug, Default)]
pub struct Batch {
    pub extents: Vec<Extent>,
    pub events: Vec<Event>,
    pub log_cursors: Vec<LogCursor>,
}

/// When `tick` wants to be called again, unless a wake comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There is more to do.
    Now,
    At(Timestamp),
}

/// What a tick brought.
#[derive(Debug)]
pub struct Tick {
    /// In the order of their sequence numbers; to be made durable in that order.
    pub batches: Vec<Batch>,
    pub next: Next,
}
