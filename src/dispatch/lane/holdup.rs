//! Why a delivery of a lane that waits does not go out. It looks and changes nothing.

use super::Lane;
use crate::dispatch::order::RowKey;
use crate::dispatch::pace::{Brake, Kind};
use crate::model::{OrderKey, Timestamp};

/// Why a delivery that waits does not go out at this moment, as far as its lane knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holdup {
    /// A worker has it, or what was decided about it is not durable yet.
    OnItsWay,
    /// Its subscription is switched off.
    Off,
    /// Its subscription is paused, for this reason.
    Paused(String),
    /// An earlier delivery of its key is to be settled first.
    Behind(RowKey),
    Pace(Brake),
    /// Every worker that its endpoint may have is busy.
    Workers,
    /// Nothing but the deliveries before it.
    Turn,
}

impl<T> Lane<T> {
    /// What holds the delivery `row` back. `order`: what it is kept in order by; `is_row`: it has a row of its own.
    pub fn holdup(&self, row: RowKey, order: Option<OrderKey>, is_row: bool, now: Timestamp) -> Option<Holdup> {
        let is_in_hand = if is_row { self.has_row_in_hand(row) } else { self.has_event_in_hand(row) };
        if is_in_hand {
            return Some(Holdup::OnItsWay);
        }
        if self.held {
            return Some(Holdup::Off);
        }
        if let Some(reason) = &self.paused {
            return Some(Holdup::Paused(reason.clone()));
        }
        if self.pausing {
            return Some(Holdup::Paused("decided a moment ago".to_owned()));
        }
        let ahead = self.order.as_ref().zip(order).and_then(|(order, key)| order.ahead_of(key, row));
        if let Some(ahead) = ahead {
            return Some(Holdup::Behind(ahead));
        }
        let kind = if is_row { Kind::Retry } else { Kind::First };
        self.pace.brake(kind, now).map(Holdup::Pace)
    }

    fn has_row_in_hand(&self, row: RowKey) -> bool {
        let is_due = self.due.iter().any(|parked| (parked.key.seq, parked.key.replay) == row);
        let waits = is_due || self.order.as_ref().is_some_and(|order| order.keeps_waiting(row));
        self.retrying.contains(&row) && !waits
    }

    fn has_event_in_hand(&self, (seq, _): RowKey) -> bool {
        let waits = self.returned.iter().chain(&self.rearranged).any(|event| event.seq == seq);
        let is_held = self.order.as_ref().is_some_and(|order| order.holds(seq));
        self.outstanding.contains_key(&seq) && !waits && !is_held
    }
}
