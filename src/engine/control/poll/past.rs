//! What the journal knows of a lane's deliveries that have no row any more: cancelled, expired and forgotten ones, and
//! those that a replay of their own delivered. One look back serves a whole page.

use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};

use crate::admin::ControlError;
use crate::engine::control::deliveries::status_at;
use crate::engine::control::internal;
use crate::engine::running::Shared;
use crate::model::{DeliveryStatus, Seq, SubId};
use crate::store::{DeliveryFacts, End, ExceptionStatus, LaneState, Record, Verdict};

/// How a delivery ended that is neither delivered nor has a row.
#[derive(Clone, Debug)]
pub struct Ended {
    pub status: DeliveryStatus,
    /// Unknown for one whose row the history let go.
    pub facts: Option<DeliveryFacts>,
    /// A newer state of its key was sent in its place.
    pub is_superseded: bool,
}

/// The deliveries of one lane, from one event on.
#[derive(Debug, Default)]
pub struct Past {
    pub ended: BTreeMap<Seq, Ended>,
    /// Events of which an attempt or an end was found, as far as they are asked for.
    pub judged: HashSet<Seq>,
    /// Events that a replay delivered, with that delivery's id.
    pub replayed: BTreeMap<Seq, [u8; 16]>,
    /// The journal goes back no further than to this event.
    pub begins: Option<Seq>,
}

/// Whether rows alone cannot tell how the deliveries of `lane` ended.
pub fn is_needed(lane: &LaneState, last_replay: u32) -> bool {
    let (books, forgotten) = (&lane.books, &lane.forgotten);
    books.cancelled + books.expired + forgotten.failed + forgotten.unknown > 0 || last_replay > 0
}

impl Past {
    /// Looks back to the moment when `from` was taken in. Events below `judged` are asked for one by one.
    pub fn read(shared: &Shared, sub: SubId, from: Seq, judged: Seq) -> Result<Self, ControlError> {
        let mut past = Self::default();
        let mut is_whole = false;
        let mut oldest = None;
        let read = shared.state.history(u64::MAX, |_, record| {
            if let Record::Taken { extent, .. } = &record {
                oldest = Some(extent.first_seq);
                is_whole = extent.first_seq <= from;
            } else {
                past.note(sub, from..judged, record);
            }
            if is_whole { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        read.map_err(internal)?;
        past.begins = if is_whole { None } else { oldest };
        Ok(past)
    }

    /// An end is final: no attempt follows it.
    fn note(&mut self, wanted: SubId, judged: Range<Seq>, record: Record) {
        let (Record::Attempted { key, .. } | Record::Ended { key, .. } | Record::Forgotten { key, .. }) = &record
        else {
            return;
        };
        let key = *key;
        if key.sub != wanted || key.seq < judged.start {
            return;
        }
        if key.replay > 0 {
            if let Record::Attempted { verdict: Verdict::Delivered, facts, .. } = record {
                self.replayed.entry(key.seq).or_insert(facts.delivery);
            }
            return;
        }
        if judged.contains(&key.seq) {
            self.judged.insert(key.seq);
        }
        let ended = match record {
            Record::Ended { end, facts, .. } => {
                Ended { status: status_at(end), facts: Some(facts), is_superseded: end == End::Superseded }
            }
            Record::Forgotten { was, .. } => {
                let failed = was == ExceptionStatus::Failed;
                let status = if failed { DeliveryStatus::Failed } else { DeliveryStatus::Unknown };
                Ended { status, facts: None, is_superseded: false }
            }
            _ => return,
        };
        self.ended.insert(key.seq, ended);
    }
}
