//! Taking deliveries back that have not gone out, for somebody who ends them by hand.

use super::Scheduler;
use crate::dispatch::lane::Untaken;
use crate::model::Timestamp;
use crate::store::{DeliveryFacts, DeliveryKey, End, Origin, Record};

/// What came of taking a delivery back that waits in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// It is cancelled, once what was decided so far is durable.
    Done,
    /// A worker has it, or it has been judged.
    InHand,
    /// Its subscription is not configured.
    NoLane,
}

impl<T> Scheduler<T> {
    /// As [`reserve`](Self::reserve), also of a row that is due and waits for a worker.
    pub fn take_back(&mut self, key: DeliveryKey) -> bool {
        let Some(lane) = self.lanes.get_mut(&key.sub) else { return false };
        let row = (key.seq, key.replay);
        let waits = lane.due.iter().position(|parked| parked.key == key).and_then(|at| lane.due.remove(at));
        let is_waiting = match (&mut lane.order, waits) {
            // It is in hand no more; the next of its key follows when it is gone.
            (Some(order), Some(parked)) => {
                order.put_back(&parked);
                true
            }
            (Some(order), None) => order.take_waiting(row),
            (None, waits) => waits.is_some(),
        };
        is_waiting || lane.retrying.insert(row)
    }

    /// Ends a delivery that waits in the log for its first attempt.
    pub fn withdraw(&mut self, key: DeliveryKey, facts: &DeliveryFacts, now: Timestamp) -> Withdrawal {
        let Some(lane) = self.lanes.get_mut(&key.sub) else { return Withdrawal::NoLane };
        let Untaken::From(from) = lane.untake(key.seq) else { return Withdrawal::InHand };
        let low = lane.low(self.tail);
        let (origin, facts, end) = (Origin::Log, facts.clone(), End::Cancelled);
        self.commit(vec![Record::Ended { key, origin, facts, end, from, low, at: now }], None);
        self.settle_later(key);
        self.wake(key.sub);
        Withdrawal::Done
    }
}
