//! What goes out: a lane's turn, and the delivery that it starts.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Scheduler;
use super::facts::{facts, id_of};
use crate::dispatch::lane::Lane;
use crate::dispatch::order::Skipped;
use crate::dispatch::pace::{Admission, Kind};
use crate::dispatch::{Action, Job, Parked};
use crate::model::{AttemptTrigger, DeliveryId, Event, OrderKey, SubId, Timestamp};
use crate::store::{Claim, DeliveryKey, End, Origin, Record};

/// How long a suspect waits before it asks again for a place in the suspects' share of the pool.
const SUSPECT_WAIT: Duration = Duration::from_millis(50);
/// Due rows read at a time.
const DUE_ROWS: usize = 64;

impl<T> Scheduler<T> {
    /// One turn of a lane: reads it wants, then at most one delivery. Returns whether it may have more to send.
    pub(super) fn turn(&mut self, sub: SubId, now: Timestamp) -> bool {
        let Some(lane) = self.lanes.get_mut(&sub) else { return false };
        if !lane.may_send() {
            return false;
        }
        for (order, (seq, replay)) in lane.take_turns() {
            self.actions.push(Action::ReadRow { key: DeliveryKey { sub, seq, replay }, order });
        }
        if let Some((from, events_max, bytes_max)) = lane.wants_log() {
            lane.reading_log = Some(from);
            self.actions.push(Action::ReadLog { sub, from, upto: self.tail, events_max, bytes_max });
        }
        if let Some(due) = lane.next_due
            && !lane.reading_due
            && lane.due.is_empty()
        {
            if due <= now {
                lane.reading_due = true;
                lane.next_due = None;
                let rows_max = DUE_ROWS + lane.retrying.len();
                self.actions.push(Action::ReadDue { sub, now, rows_max });
            } else {
                set_timer(&mut self.timers, lane, sub, due);
            }
        }
        let is_from_row = !lane.due.is_empty();
        let was_tried = |parked: &Parked| parked.row.attempts > 0 || parked.row.replay_of.is_some();
        let kind = if lane.due.front().is_some_and(was_tried) { Kind::Retry } else { Kind::First };
        if !is_from_row && !lane.may_start() {
            return false;
        }
        match lane.pace.admit(kind, now) {
            Admission::Full => return false,
            Admission::Until(at) => {
                set_timer(&mut self.timers, lane, sub, at);
                return false;
            }
            Admission::Run => {}
        }
        let suspect = lane.pace.suspect();
        if suspect && self.suspects_busy >= (self.workers / 4).max(1) {
            set_timer(&mut self.timers, lane, sub, now.plus(SUSPECT_WAIT));
            return false;
        }
        if is_from_row {
            self.start_due(sub, suspect, now);
        } else {
            self.start_first(sub, suspect, now);
        }
        true
    }

    fn start_first(&mut self, sub: SubId, suspect: bool, now: Timestamp) {
        let room = self.room();
        let Some(event) = self.lanes.get_mut(&sub).and_then(Lane::take) else { return self.write_down(sub, now) };
        self.write_down(sub, now);
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let key = DeliveryKey { sub, seq: event.seq, replay: 0 };
        if lane.at_most_once() && self.barrier.as_ref().is_some_and(|barrier| barrier.covers(event.position)) {
            lane.settle(event.seq);
            let facts = facts(&event, id_of(&event, &lane.subscription, 0));
            let low = lane.low(self.tail);
            let order = lane.order_of(&event);
            let record = Record::Ended { key, origin: Origin::Log, facts, end: End::Unknown, low, at: now };
            return self.end(record, key, order);
        }
        let delivery = id_of(&event, &lane.subscription, 0);
        let more = lane.take_more(room);
        let job = Job {
            key,
            origin: Origin::Log,
            event,
            subscription: lane.subscription.clone(),
            target: lane.target.clone(),
            delivery,
            number: 1,
            base: 0,
            replay_of: None,
            trigger: AttemptTrigger::First,
            suspect,
            more,
        };
        self.dispatch(job, now);
        self.write_down(sub, now);
    }

    /// A delivery ends without an attempt.
    fn end(&mut self, record: Record, key: DeliveryKey, order: Option<OrderKey>) {
        self.commit(vec![record], None);
        if let Some(of) = order {
            self.ended_in_order(key, of);
        }
    }

    /// Writes down what the order of a lane decided of events and rows that nobody sends now.
    pub(super) fn write_down(&mut self, sub: SubId, now: Timestamp) {
        let tail = self.tail;
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let (put_off, skipped) = (std::mem::take(&mut lane.put_off), std::mem::take(&mut lane.skipped));
        let mut records = Vec::new();
        let facts = |lane: &Lane<T>, event: &Event| facts(event, id_of(event, &lane.subscription, 0));
        for skipped in skipped {
            let (row, origin, facts) = match skipped {
                Skipped::Event(event) => {
                    lane.settle(event.seq);
                    ((event.seq, 0), Origin::Log, facts(lane, &event))
                }
                Skipped::Row(row, facts) => {
                    lane.retrying.insert(row);
                    (row, Origin::Parked, *facts)
                }
            };
            let key = DeliveryKey { sub, seq: row.0, replay: row.1 };
            records.push(Record::Ended { key, origin, facts, end: End::Superseded, low: lane.low(tail), at: now });
        }
        for (event, order) in put_off {
            lane.settle(event.seq);
            lane.retrying.insert((event.seq, 0));
            let facts = facts(lane, &event);
            if let Some(waiting) = &mut lane.order {
                waiting.put_off(order, event.seq, facts.clone());
            }
            let key = DeliveryKey { sub, seq: event.seq, replay: 0 };
            records.push(Record::PutOff { key, facts, order, low: lane.low(tail), at: now });
        }
        if !records.is_empty() {
            self.commit(records, None);
        }
    }

    fn start_due(&mut self, sub: SubId, suspect: bool, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let Some(Parked { key, row, event }) = lane.due.pop_front() else { return };
        let is_superseded =
            |of| lane.order.as_ref().is_some_and(|order| order.is_superseded(of, (key.seq, key.replay)));
        if row.order.is_some_and(is_superseded) {
            let low = lane.low(self.tail);
            let record =
                Record::Ended { key, origin: Origin::Parked, facts: row.facts, end: End::Superseded, low, at: now };
            return self.end(record, key, row.order);
        }
        // An event that is no longer kept, or one that was tried before its subscription became at-most-once.
        let sendable = event.filter(|_| !lane.at_most_once() || row.attempts <= row.base);
        let Some(event) = sendable else {
            let low = lane.low(self.tail);
            let record =
                Record::Ended { key, origin: Origin::Parked, facts: row.facts, end: End::Expired, low, at: now };
            return self.end(record, key, row.order);
        };
        let manual = row.base > 0 && row.attempts == row.base || row.replay_of.is_some() && row.attempts == 0;
        let job = Job {
            key,
            origin: Origin::Parked,
            event,
            subscription: lane.subscription.clone(),
            target: lane.target.clone(),
            delivery: DeliveryId(uuid::Uuid::from_bytes(row.facts.delivery)),
            number: row.attempts + 1,
            base: row.base,
            replay_of: row.replay_of,
            trigger: match (manual, row.attempts) {
                (true, _) => AttemptTrigger::Manual,
                (false, 0) => AttemptTrigger::First,
                (false, _) => AttemptTrigger::Retry,
            },
            suspect,
            more: VecDeque::new(),
        };
        self.dispatch(job, now);
    }

    fn dispatch(&mut self, job: Job<T>, now: Timestamp) {
        self.busy += 1;
        self.in_hand += 1 + job.more.len();
        self.suspects_busy += usize::from(job.suspect);
        let Some(lane) = self.lanes.get_mut(&job.key.sub) else { return };
        lane.pace.started();
        if lane.at_most_once() {
            let claim = Claim {
                origin: job.origin,
                facts: facts(&job.event, job.delivery),
                number: job.number,
                trigger: job.trigger,
                base: job.base,
                replay_of: job.replay_of,
                at: now,
            };
            self.commit(vec![Record::Claimed { key: job.key, claim }], Some(job));
        } else {
            self.actions.push(Action::Send(job));
        }
    }
}

fn set_timer<T>(timers: &mut BTreeSet<(Timestamp, SubId)>, lane: &mut Lane<T>, sub: SubId, at: Timestamp) {
    if lane.timer.is_none_or(|set| at < set) {
        if let Some(later) = lane.timer.replace(at) {
            timers.remove(&(later, sub));
        }
        timers.insert((at, sub));
    }
}
