//! Who sends next. Inputs in, actions out; the lanes are independent of each other and share only the number of workers.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::lane::{Lane, Reach};
use super::outcome::{Judgement, is_endpoint_trouble};
use super::pace::{Admission, Kind};
use super::retry::next_attempt;
use super::{Action, Done, Feed, Input, Job, Parked, Ran};
use crate::model::{
    AttemptTrigger, DeliveryId, Event, Mode, Outcome, SegmentId, Seq, SubId, Subscription, Timestamp, delivery_id,
};
use crate::store::{Claim, DeliveryFacts, DeliveryKey, End, Origin, Record, RowNotice, Verdict};

/// Deliveries whose outcome is not durable yet, beside the one that each worker is at. What a kill sends again is among
/// these, so no kill repeats more than this and the number of workers. A slow disk slows sending, not memory.
pub const UNCOMMITTED_MAX: usize = 1024;
/// How long a suspect waits before it asks again for a place in the suspects' share of the pool.
const SUSPECT_WAIT: Duration = Duration::from_millis(50);
/// Longest time a receiver can ask for quiet.
const QUIET_MAX: Duration = Duration::from_secs(3600);
/// Due rows read at a time.
const DUE_ROWS: usize = 64;

/// How a lane begins after a start or a reload.
pub struct LaneStart<T> {
    pub sub: SubId,
    pub subscription: Arc<Subscription>,
    pub target: Arc<T>,
    pub reach: Reach,
    pub passed: BTreeSet<Seq>,
    pub parked: bool,
    pub paused: Option<String>,
}

/// A lane as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    pub sub: SubId,
    pub in_flight: u32,
    pub breaker_until: Option<Timestamp>,
    pub suspect: bool,
    pub behind: bool,
    pub next_due: Option<Timestamp>,
    /// See [`Lane::overdue_since`].
    pub overdue_since: Option<Timestamp>,
}

/// The lanes and what they share.
pub struct Scheduler<T> {
    lanes: HashMap<SubId, Lane<T>>,
    ready: VecDeque<SubId>,
    queued: HashSet<SubId>,
    timers: BTreeSet<(Timestamp, SubId)>,
    tail: Seq,
    workers: usize,
    busy: usize,
    suspects_busy: usize,
    /// Deliveries that workers were given and have not told of.
    in_hand: usize,
    commits: usize,
    barrier: Option<SegmentId>,
    draining: bool,
    actions: Vec<Action<T>>,
}

impl<T> Scheduler<T> {
    /// `tail`: sequence number of the next event to be accepted. `barrier`: see [`Record::Started`].
    pub fn new(workers: usize, tail: Seq, barrier: Option<SegmentId>) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            queued: HashSet::new(),
            timers: BTreeSet::new(),
            tail,
            workers: workers.max(1),
            busy: 0,
            suspects_busy: 0,
            in_hand: 0,
            commits: 0,
            barrier,
            draining: false,
            actions: Vec::new(),
        }
    }

    /// Adds a lane.
    pub fn add(&mut self, start: LaneStart<T>, now: Timestamp) {
        let mut lane = Lane::new(start.subscription, start.target, start.reach, start.passed, now);
        lane.held = !lane.subscription.active;
        lane.paused = start.paused;
        lane.next_due = start.parked.then_some(Timestamp(i64::MIN));
        self.lanes.insert(start.sub, lane);
        self.wake(start.sub);
    }

    /// Gives a lane new settings; deliveries on their way finish with the old ones.
    pub fn reconfigure(&mut self, sub: SubId, subscription: Arc<Subscription>, target: Arc<T>, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(&sub) {
            lane.pace.reconfigure(subscription.max_in_flight, subscription.rate_limit, now);
            lane.held = !subscription.active;
            if lane.held {
                lane.give_back();
            }
            lane.subscription = subscription;
            lane.target = target;
        }
        self.wake(sub);
    }

    /// The subscription is no longer configured: what waits is held.
    pub fn hold(&mut self, sub: SubId) {
        if let Some(lane) = self.lanes.get_mut(&sub) {
            lane.held = true;
            lane.give_back();
        }
    }

    /// Nothing waits for this lane any more, and it is not configured: should it come back, it begins anew.
    pub fn forget(&mut self, sub: SubId) {
        self.lanes.remove(&sub);
    }

    pub fn pause(&mut self, sub: SubId, reason: String) {
        if let Some(lane) = self.lanes.get_mut(&sub) {
            lane.paused = Some(reason);
            lane.pausing = false;
            lane.give_back();
        }
    }

    pub fn resume(&mut self, sub: SubId) {
        if let Some(lane) = self.lanes.get_mut(&sub) {
            lane.paused = None;
        }
        self.wake(sub);
    }

    /// Nothing new starts from now on; what is on its way ends.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Keeps a delivery's row from being sent until its next state is durable, for somebody who is about to change it.
    /// `false`: it is on its way, or its subscription has no lane.
    pub fn reserve(&mut self, key: DeliveryKey) -> bool {
        self.lanes.get_mut(&key.sub).is_some_and(|lane| lane.retrying.insert((key.seq, key.replay)))
    }

    /// Takes a reservation back. The row may have come due meanwhile and been passed over, so due rows are read again.
    pub fn release(&mut self, key: DeliveryKey) {
        if let Some(lane) = self.lanes.get_mut(&key.sub) {
            lane.row_changed((key.seq, key.replay), Some(Timestamp(i64::MIN)));
        }
        self.wake(key.sub);
    }

    /// Nothing is on its way, and everything that was decided is durable.
    pub fn is_quiet(&self) -> bool {
        self.busy == 0 && self.commits == 0
    }

    pub fn has(&self, sub: SubId) -> bool {
        self.lanes.contains_key(&sub)
    }

    /// Every lane has nothing left that could be sent now or retried before `until`, and everything that was decided is
    /// durable.
    pub fn drained(&self, now: Timestamp, until: Timestamp) -> bool {
        self.is_quiet() && self.lanes.values().all(|lane| lane.drained(now, until))
    }

    /// Below this every event has been judged by every lane.
    pub fn settled_below(&self) -> Seq {
        self.lanes.values().map(|lane| lane.low(self.tail)).min().unwrap_or(self.tail)
    }

    pub fn status(&self, now: Timestamp) -> Vec<LaneStatus> {
        self.lanes
            .iter()
            .map(|(sub, lane)| LaneStatus {
                sub: *sub,
                in_flight: lane.pace.in_flight(),
                breaker_until: lane.pace.breaker_open(now),
                suspect: lane.pace.suspect(),
                behind: lane.low(self.tail) < self.tail,
                next_due: lane.next_due.filter(|due| due.0 != i64::MIN),
                overdue_since: lane.overdue_since(now),
            })
            .collect()
    }

    /// Takes one input. `random` feeds jitter.
    pub fn take(&mut self, input: Input<T>, now: Timestamp, random: u64) {
        match input {
            Input::Fed(feed) => self.feed(feed),
            Input::Ran(ran) => self.ran(ran, now, random),
            Input::LogRead { sub, events, next } => {
                if let Some(lane) = self.lanes.get_mut(&sub) {
                    lane.extend(events, next, self.tail);
                }
                self.wake(sub);
            }
            Input::DueRead { sub, rows, next_due } => self.due_read(sub, rows, next_due),
            Input::Committed { notices, commits } => {
                self.commits -= commits.min(self.commits);
                notices.into_iter().for_each(|notice| self.notice(notice));
            }
        }
    }

    /// Starts whatever may start at `now`. Returns the actions since the last call, and when to call again at the latest.
    pub fn run(&mut self, now: Timestamp) -> (Vec<Action<T>>, Option<Timestamp>) {
        while let Some((at, sub)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, sub));
            if let Some(lane) = self.lanes.get_mut(&sub).filter(|lane| lane.timer == Some(at)) {
                lane.timer = None;
            }
            self.wake(sub);
        }
        while self.busy < self.workers && self.room() > 0 && !self.draining {
            let Some(sub) = self.ready.pop_front() else { break };
            if self.turn(sub, now) {
                self.ready.push_back(sub);
            } else {
                self.queued.remove(&sub);
            }
        }
        (std::mem::take(&mut self.actions), self.timers.first().map(|(at, _)| *at))
    }

    /// How many more deliveries may go out before outcomes must become durable.
    fn room(&self) -> usize {
        UNCOMMITTED_MAX.saturating_sub(self.in_hand.saturating_sub(self.busy) + self.commits)
    }

    fn wake(&mut self, sub: SubId) {
        if self.lanes.contains_key(&sub) && self.queued.insert(sub) {
            self.ready.push_back(sub);
        }
    }

    /// One turn of a lane: reads it wants, then at most one delivery. Returns whether it may have more to send.
    fn turn(&mut self, sub: SubId, now: Timestamp) -> bool {
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
        if lane.at_most_once() && self.barrier.is_some_and(|barrier| event.position.segment <= barrier) {
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

    fn commit(&mut self, records: Vec<Record>, then: Option<Job<T>>) {
        self.commits += 1;
        self.actions.push(Action::Commit(records, then));
    }

    fn feed(&mut self, feed: Feed) {
        // A batch that only moves the cursors of logs brings no event, and no number.
        self.tail = self.tail.max(feed.next_seq);
        for (index, sub) in feed.matches {
            let (Some(lane), Some(event)) = (self.lanes.get_mut(&sub), feed.events.get(index as usize)) else {
                continue;
            };
            lane.offer(event);
            self.wake(sub);
        }
    }

    fn ran(&mut self, ran: Ran<T>, now: Timestamp, random: u64) {
        let unsent = ran.end.as_ref().map_or(0, |end| end.unsent.len());
        self.in_hand = self.in_hand.saturating_sub(ran.done.len() + unsent);
        if let (Some(Done { job, .. }), Some(end)) = (ran.done.first(), ran.end) {
            self.busy -= 1;
            self.suspects_busy -= usize::from(job.suspect);
            if let Some(lane) = self.lanes.get_mut(&job.key.sub) {
                lane.pace.freed();
                lane.ran(end);
            }
        }
        ran.done.into_iter().for_each(|done| self.judge(done, now, random));
    }

    fn judge(&mut self, done: Done<T>, now: Timestamp, random: u64) {
        let Done { job, attempt, judgement, retry_after } = done;
        let sub = job.key.sub;
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        lane.pace.ended(judgement == Judgement::Delivered, is_endpoint_trouble(attempt.outcome), now);
        if let Some(wait) = retry_after
            && matches!(attempt.exchange.status_code, Some(429 | 503))
        {
            lane.pace.quiet(now.plus(wait.min(QUIET_MAX)));
        }
        let verdict = match judgement {
            Judgement::Delivered => Verdict::Delivered,
            Judgement::Unknown => Verdict::Unknown,
            Judgement::Gone => Verdict::Failed,
            Judgement::Failed if job.subscription.mode == Mode::AtMostOnce => Verdict::Failed,
            Judgement::Failed => {
                let failed = job.number.saturating_sub(job.base);
                match next_attempt(&job.subscription.retry, failed, now, retry_after, random) {
                    Some(due) => Verdict::Retry { due },
                    None => Verdict::Failed,
                }
            }
        };
        match job.origin {
            Origin::Log => lane.settle(job.key.seq),
            Origin::Parked => {}
        }
        if job.origin == Origin::Log && verdict != Verdict::Delivered {
            lane.retrying.insert((job.key.seq, job.key.replay));
        }
        let gone = judgement == Judgement::Gone && lane.paused.is_none() && !lane.pausing;
        let low = lane.low(self.tail);
        let mut records = vec![Record::Attempted {
            key: job.key,
            origin: job.origin,
            facts: facts(&job.event, job.delivery),
            attempt,
            verdict,
            base: job.base,
            replay_of: job.replay_of,
            low,
        }];
        if gone {
            let reason = "the receiver answered 410 Gone: it does not want these events any more".to_owned();
            records.push(Record::Paused { sub, reason: reason.clone(), at: now });
            // Not paused before that is durable: somebody's resuming has its place in the journal before or after it.
            lane.pausing = true;
            lane.give_back();
            self.commits += 1;
            self.actions.push(Action::Pause { sub, reason, records });
        } else {
            self.commit(records, None);
        }
        self.wake(sub);
    }

    fn due_read(&mut self, sub: SubId, rows: Vec<Parked>, next_due: Option<Timestamp>) {
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        lane.take_due(rows, next_due);
        if !lane.may_send() {
            lane.give_back();
        }
        self.wake(sub);
    }

    fn notice(&mut self, notice: RowNotice) {
        let Some(lane) = self.lanes.get_mut(&notice.key.sub) else { return };
        lane.row_changed((notice.key.seq, notice.key.replay), notice.due);
        if notice.due.is_some() {
            self.wake(notice.key.sub);
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

fn id_of(event: &Event, subscription: &Subscription, replay: u32) -> DeliveryId {
    delivery_id(event.position, subscription.tenant(), &subscription.name, replay)
}

/// What records say of an event's delivery.
pub(super) fn facts(event: &Event, delivery: DeliveryId) -> DeliveryFacts {
    DeliveryFacts {
        delivery: delivery.0.into_bytes(),
        position: event.position,
        seen: event.seen,
        event_id: event.id.clone(),
        event_type: event.event_type.clone(),
    }
}

/// The outcome that an attempt gets when the engine stopped while it was under way.
pub fn interrupted(claim: &Claim) -> crate::model::Attempt {
    crate::model::Attempt {
        number: claim.number,
        started: claim.at,
        duration_ms: 0,
        trigger: claim.trigger,
        outcome: Outcome::Unknown,
        exchange: crate::model::Exchange {
            error: "the engine stopped while this request may have been on its way; it is not sent again".to_owned(),
            ..crate::model::Exchange::default()
        },
    }
}
