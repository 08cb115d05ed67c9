//! What goes out: a lane's turn, and the delivery that it starts.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Scheduler;
use super::facts::{facts, id_of};
use crate::dispatch::lane::Lane;
use crate::dispatch::pace::{Admission, Kind};
use crate::dispatch::{Action, Job, Parked};
use crate::model::{AttemptTrigger, DeliveryId, SubId, Timestamp};
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
        let kind = if lane.due.is_empty() { Kind::First } else { Kind::Retry };
        if kind == Kind::First && !lane.may_start() {
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
        match kind {
            Kind::Retry => self.start_due(sub, suspect, now),
            Kind::First => self.start_first(sub, suspect, now),
        }
        true
    }

    fn start_first(&mut self, sub: SubId, suspect: bool, now: Timestamp) {
        let room = self.room();
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let Some(event) = lane.take() else { return };
        let key = DeliveryKey { sub, seq: event.seq, replay: 0 };
        if lane.at_most_once() && self.barrier.as_ref().is_some_and(|barrier| barrier.covers(event.position)) {
            lane.settle(event.seq);
            let facts = facts(&event, id_of(&event, &lane.subscription, 0));
            let low = lane.low(self.tail);
            let record = Record::Ended { key, origin: Origin::Log, facts, end: End::Unknown, low, at: now };
            self.commit(vec![record], None);
            return;
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
    }

    fn start_due(&mut self, sub: SubId, suspect: bool, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let Some(Parked { key, row, event }) = lane.due.pop_front() else { return };
        // An event that is no longer kept, or one that was tried before its subscription became at-most-once.
        let sendable = event.filter(|_| !lane.at_most_once() || row.attempts <= row.base);
        let Some(event) = sendable else {
            let low = lane.low(self.tail);
            let record =
                Record::Ended { key, origin: Origin::Parked, facts: row.facts, end: End::Expired, low, at: now };
            self.commit(vec![record], None);
            return;
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
            trigger: if manual { AttemptTrigger::Manual } else { AttemptTrigger::Retry },
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
