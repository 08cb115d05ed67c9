//! What became of events with one subscription.
//!
//! An event may have several deliveries there: the one that matching made, and replays of their own. It counts as delivered
//! when one of them is, else as pending when one of them is, else as the first one ended.

use std::collections::BTreeMap;

use super::EXAMINED_MAX;
use super::past::{self, Past};
use crate::admin::ControlError;
use crate::admin::api::DeliveryRef;
use crate::engine::catchup::EraFilters;
use crate::engine::control::internal;
use crate::engine::messages::Then;
use crate::engine::running::Shared;
use crate::model::{DeliveryStatus, Event, Seq, SubId, delivery_id};
use crate::store::{DeliveryFacts, ExceptionRow, ExceptionStatus, LaneState};

/// The rows of one event, by replay.
pub type Rows = Vec<(u32, ExceptionRow)>;

/// A lane as it stood at one moment, and the means to tell what became of its deliveries.
pub struct Fates<'a> {
    shared: &'a Shared,
    pub sub: SubId,
    pub lane: LaneState,
    /// The end of the log at that moment.
    pub tail: Seq,
    /// Every event below this was judged.
    pub judged_below: Seq,
    last_replay: u32,
    filters: EraFilters,
    past: Option<(Seq, Past)>,
}

/// How one event stands.
#[derive(Debug)]
pub enum Fate {
    Delivered([u8; 16]),
    Pending([u8; 16]),
    Missed(DeliveryStatus, [u8; 16], Option<DeliveryFacts>),
    /// Cancelled, because a newer state of its key was sent.
    Superseded([u8; 16]),
}

impl<'a> Fates<'a> {
    /// Looks at the lane of `sub`. The rows of everything that had ended by then are in place when this returns.
    pub fn new(shared: &'a Shared, sub: SubId) -> Result<Self, ControlError> {
        let (lane, next_seq, last_replay) = {
            let ledger = shared.state.ledger();
            let lane = ledger.lanes.get(&sub).cloned();
            let lane = lane.ok_or_else(|| ControlError::NotFound(format!("subscription {} has no lane", sub.0)))?;
            (lane, ledger.next_seq, ledger.last_replay)
        };
        // The ledger runs ahead of the rows for a moment; behind a commit of nothing they have caught up.
        shared.commit(Vec::new(), Then::Nothing).map_err(ControlError::Unavailable)?;
        let judged_below = lane.resume_at(next_seq);
        Ok(Self {
            shared,
            sub,
            lane,
            tail: next_seq,
            judged_below,
            last_replay,
            filters: EraFilters::default(),
            past: None,
        })
    }

    /// Makes sure that the journal was looked through for events from `from` on, if rows alone do not tell. With `each`, it
    /// is looked through for every event before the first filter that is known, too.
    pub fn look_back(&mut self, from: Seq, each: bool) -> Result<(), ControlError> {
        let filtered_from = self.lane.eras.first().map_or(Seq::MAX, |era| era.from_seq);
        let is_needed = past::is_needed(&self.lane, self.last_replay) || (each && filtered_from > from);
        if is_needed && self.past.as_ref().is_none_or(|(known, _)| *known > from) {
            let judged = if each { filtered_from.min(from + EXAMINED_MAX as Seq) } else { from };
            self.past = Some((from, Past::read(self.shared, self.sub, from, judged)?));
        }
        Ok(())
    }

    pub fn past(&self) -> Option<&Past> {
        self.past.as_ref().map(|(_, past)| past)
    }

    /// Whether the subscription took `event` when it came.
    pub fn took(&mut self, event: &Event) -> Result<bool, ControlError> {
        let filter = self.filters.at(self.sub, &self.lane.eras, event.seq).map_err(|doubt| internal(doubt.reason))?;
        match filter {
            Some(filter) => Ok(filter.matches(event)),
            // A filter of the past is kept as long as deliveries wait under it; then the journal knows, or a row.
            None => {
                let is_judged = self.past().is_some_and(|past| past.judged.contains(&event.seq));
                Ok(is_judged || !self.rows(event.seq, event.seq)?.is_empty())
            }
        }
    }

    /// The rows of events from `first` to `last`.
    pub fn rows(&self, first: Seq, last: Seq) -> Result<BTreeMap<Seq, Rows>, ControlError> {
        let mut found: BTreeMap<Seq, Rows> = BTreeMap::new();
        for row in self.shared.state.view.exceptions_from(self.sub, first) {
            let (key, row) = row.map_err(internal)?;
            if key.seq > last {
                break;
            }
            found.entry(key.seq).or_default().push((key.replay, row));
        }
        Ok(found)
    }

    /// How an event stands that has these rows. `original` is the id of the delivery that matching made.
    pub fn of(&self, seq: Seq, rows: &[(u32, ExceptionRow)], original: [u8; 16]) -> Fate {
        if let Some(by) = self.past().and_then(|past| past.replayed.get(&seq)) {
            return Fate::Delivered(*by);
        }
        if let Some((_, row)) = rows.iter().find(|(_, row)| row.status == ExceptionStatus::Parked) {
            return Fate::Pending(row.facts.delivery);
        }
        let first = rows.iter().find(|(replay, _)| *replay == 0).map(|(_, row)| row);
        match first.map(|row| (row.status, &row.facts)) {
            Some((ExceptionStatus::Failed, facts)) => {
                Fate::Missed(DeliveryStatus::Failed, facts.delivery, Some(facts.clone()))
            }
            Some((ExceptionStatus::Unknown, facts)) => {
                Fate::Missed(DeliveryStatus::Unknown, facts.delivery, Some(facts.clone()))
            }
            _ if seq >= self.judged_below && !self.lane.passed.contains(&seq) => Fate::Pending(original),
            _ => match self.past().and_then(|past| past.ended.get(&seq)) {
                Some(ended) if ended.is_superseded => Fate::Superseded(original),
                Some(ended) => {
                    let id = ended.facts.as_ref().map_or(original, |facts| facts.delivery);
                    Fate::Missed(ended.status, id, ended.facts.clone())
                }
                None => Fate::Delivered(original),
            },
        }
    }

    /// The id of the delivery that matching made of `event`.
    pub fn original(&self, event: &Event) -> [u8; 16] {
        delivery_id(event.position, &self.lane.tenant, &self.lane.name, 0).0.into_bytes()
    }
}

impl Fate {
    /// The delivery as a poll shows it.
    pub fn delivery(&self) -> DeliveryRef {
        let (id, status) = match self {
            Self::Delivered(id) => (id, DeliveryStatus::Delivered),
            Self::Pending(id) => (id, DeliveryStatus::Pending),
            Self::Missed(status, id, _) => (id, *status),
            Self::Superseded(id) => (id, DeliveryStatus::Cancelled),
        };
        DeliveryRef { id: uuid::Uuid::from_bytes(*id).to_string(), status }
    }
}
