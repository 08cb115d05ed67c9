//! What goes out: a lane's turn, and the delivery that it starts.

use super::Scheduler;
use super::facts::{facts, id_of};
use crate::dispatch::lane::Lane;
use crate::dispatch::order::{Decided, Skipped};
use crate::dispatch::pace::{Admission, Kind, Standing};
use crate::dispatch::{Action, Job, Parked};
use crate::model::{AttemptTrigger, DeliveryId, Event, SubId, Timestamp};
use crate::store::{Claim, DeliveryKey, End, Origin, Record};
use std::collections::{BTreeSet, VecDeque};

/// Due rows read at a time.
const DUE_ROWS: usize = 64;

/// What became of a lane's turn.
pub(super) enum Turn {
    /// It may have more to send.
    Again,
    Over,
    /// It has, and there is no worker for an endpoint of this standing.
    Stalled(Standing),
}

impl<T> Scheduler<T> {
    /// One turn of a lane: reads it wants, then at most one delivery.
    pub(super) fn turn(&mut self, sub: SubId, now: Timestamp) -> Turn {
        let Some(lane) = self.lanes.get_mut(&sub) else { return Turn::Over };
        if !lane.may_send() {
            return Turn::Over;
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
        let mut kind = if lane.due.is_empty() { Kind::First } else { Kind::Retry };
        if kind == Kind::Retry
            && lane.retried
            && lane.may_start()
            && lane.pace.admit(Kind::First, now) == Admission::Run
        {
            kind = Kind::First;
        }
        if kind == Kind::First && !lane.may_start() {
            return Turn::Over;
        }
        match lane.pace.admit(kind, now) {
            Admission::Full => return Turn::Over,
            Admission::Until(at) => {
                set_timer(&mut self.timers, lane, sub, at);
                return Turn::Over;
            }
            Admission::Run => {}
        }
        let standing = lane.pace.standing();
        if !self.crew.has_room_for(standing) {
            return Turn::Stalled(standing);
        }
        lane.retried = kind == Kind::Retry;
        match kind {
            Kind::Retry => self.start_due(sub, standing, now),
            Kind::First => self.start_first(sub, standing, now),
        }
        Turn::Again
    }

    fn start_first(&mut self, sub: SubId, standing: Standing, now: Timestamp) {
        let (room, crowded) = (self.room(), self.is_crowded());
        let taken = self.lanes.get_mut(&sub).and_then(|lane| lane.take(|_| true));
        let Some(event) = taken else { return self.write_down(sub, now) };
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let key = DeliveryKey { sub, seq: event.seq, replay: 0 };
        let at_most_once = lane.at_most_once();
        let is_in_doubt =
            |event: &Event| at_most_once && self.barrier.as_ref().is_some_and(|barrier| barrier.covers(event.position));
        if is_in_doubt(&event) {
            let from = lane.settle(event.seq);
            let facts = facts(&event, id_of(&event, &lane.subscription, 0), lane.order_of((event.seq, 0)));
            let low = lane.low(self.tail);
            let record = Record::Ended { key, origin: Origin::Log, facts, end: End::Unknown, from, low, at: now };
            self.end(record, key);
            return self.write_down(sub, now);
        }
        let delivery = id_of(&event, &lane.subscription, 0);
        let more = lane.take_more(room, crowded, |event| !is_in_doubt(event));
        let width = lane.pace.width(1 + more.len());
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
            ticket: self.crew.begin(standing, now),
            width,
            more,
        };
        self.dispatch(job, now);
        self.write_down(sub, now);
    }

    /// A delivery in hand ends without an attempt.
    fn end(&mut self, record: Record, key: DeliveryKey) {
        self.commit(vec![record], None);
        self.settle_later(key);
    }

    /// Writes down what the order of a lane found pointless.
    pub(super) fn write_down(&mut self, sub: SubId, now: Timestamp) {
        let tail = self.tail;
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let mut records = Vec::new();
        let mut keys = Vec::new();
        for skipped in std::mem::take(&mut lane.skipped) {
            let (row, origin, facts, from) = match skipped {
                Skipped::Event(event) => {
                    let order = lane.order.as_ref().and_then(|order| order.key(&event));
                    let from = lane.settle(event.seq);
                    let facts = facts(&event, id_of(&event, &lane.subscription, 0), order);
                    ((event.seq, 0), Origin::Log, facts, from)
                }
                Skipped::Row(row, facts) => {
                    lane.retrying.insert(row);
                    (row, Origin::Parked, *facts, row.0)
                }
            };
            keys.extend(facts.order);
            let key = DeliveryKey { sub, seq: row.0, replay: row.1 };
            let low = lane.low(tail);
            records.push(Record::Ended { key, origin, facts, end: End::Superseded, from, low, at: now });
        }
        if !records.is_empty() {
            self.commit(records, None);
            let decided = self.decided;
            self.settling.extend(keys.into_iter().map(|key| (decided, sub, key, Decided::Skip)));
        }
    }

    fn start_due(&mut self, sub: SubId, standing: Standing, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let Some(Parked { key, row, event }) = lane.due.pop_front() else { return };
        // An event that is no longer kept, or one that was tried before its subscription became at-most-once.
        let sendable = event.filter(|_| !lane.at_most_once() || row.attempts <= row.base);
        let Some(event) = sendable else {
            let (from, low) = (key.seq, lane.low(self.tail));
            let record =
                Record::Ended { key, origin: Origin::Parked, facts: row.facts, end: End::Expired, from, low, at: now };
            return self.end(record, key);
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
            ticket: self.crew.begin(standing, now),
            width: 1,
            more: VecDeque::new(),
        };
        self.dispatch(job, now);
    }

    fn dispatch(&mut self, job: Job<T>, now: Timestamp) {
        self.in_hand += 1 + job.more.len();
        let Some(lane) = self.lanes.get_mut(&job.key.sub) else { return };
        lane.pace.started(job.width);
        if lane.at_most_once() {
            // One commit serves the whole run; what the worker does not get to is released.
            let first = Claim {
                origin: job.origin,
                facts: facts(&job.event, job.delivery, lane.order_of((job.key.seq, job.key.replay))),
                number: job.number,
                trigger: job.trigger,
                base: job.base,
                replay_of: job.replay_of,
                at: now,
            };
            let mut claims = vec![Record::Claimed { key: job.key, claim: first }];
            claims.extend(job.more.iter().map(|event| Record::Claimed {
                key: DeliveryKey { sub: job.key.sub, seq: event.seq, replay: 0 },
                claim: Claim {
                    origin: Origin::Log,
                    facts: facts(event, id_of(event, &job.subscription, 0), lane.order_of((event.seq, 0))),
                    number: 1,
                    trigger: AttemptTrigger::First,
                    base: 0,
                    replay_of: None,
                    at: now,
                },
            }));
            self.commit(claims, Some(job));
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
