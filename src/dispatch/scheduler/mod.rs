//! Who sends next. Inputs in, actions out; the lanes are independent of each other and share only the workers, tenant by tenant.

mod crew;
mod facts;
mod judging;
mod ready;
mod starting;
mod withdrawing;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rangemap::RangeSet;

use crew::Crew;
pub use crew::{CrewSize, Ticket};
pub use facts::interrupted;
use ready::Ready;
use starting::Turn;
pub use withdrawing::Withdrawal;

use super::lane::{Holdup, Lane, Reach};
use super::order::Decided;
use super::pace::Standing;
use super::window::Window;
use super::{Action, Input, Job};
use crate::model::{OrderKey, Seq, SubId, Subscription, Timestamp};
use crate::store::{Barrier, DeliveryKey, Ordered, Record};

/// Deliveries whose outcome is not durable yet, beside the one that each worker is at. What a kill sends again is among
/// these, so no kill repeats more than this and the number of workers. A slow disk slows sending, not memory.
pub const UNCOMMITTED_MAX: usize = 1024;

/// How often the lanes' room in memory is shared out anew.
const SHARE_EVERY: Duration = Duration::from_millis(100);

/// How a lane begins after a start or a reload.
pub struct LaneStart<T> {
    pub sub: SubId,
    pub subscription: Arc<Subscription>,
    pub target: Arc<T>,
    pub reach: Reach,
    pub passed: RangeSet<Seq>,
    pub parked: bool,
    /// Rows that are kept in order.
    pub ordered: Ordered,
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
    ready: Ready,
    queued: HashSet<SubId>,
    timers: BTreeSet<(Timestamp, SubId)>,
    tail: Seq,
    crew: Crew,
    /// Lanes that wait for a worker that their endpoint's standing may have.
    stalled: [VecDeque<SubId>; 2],
    /// Deliveries that workers were given and have not told of.
    in_hand: usize,
    commits: usize,
    /// Commits asked for so far; they become durable in this order.
    decided: u64,
    /// What lets the next of a key go as soon as so many commits are durable.
    settling: VecDeque<(u64, SubId, OrderKey, Decided)>,
    barrier: Option<Barrier>,
    draining: bool,
    /// What each lane may hold, and since when.
    window: (Window, Timestamp),
    actions: Vec<Action<T>>,
}

impl<T> Scheduler<T> {
    /// `tail`: sequence number of the next event to be accepted. `barrier`: see [`Barrier`].
    pub fn new(crew: CrewSize, tail: Seq, barrier: Option<Barrier>) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: Ready::default(),
            queued: HashSet::new(),
            timers: BTreeSet::new(),
            tail,
            crew: Crew::new(crew),
            stalled: Default::default(),
            in_hand: 0,
            commits: 0,
            decided: 0,
            settling: VecDeque::new(),
            barrier,
            draining: false,
            window: (Window::of(1), Timestamp(i64::MIN)),
            actions: Vec::new(),
        }
    }

    /// Adds a lane.
    pub fn add(&mut self, start: LaneStart<T>, now: Timestamp) {
        let mut lane = Lane::new(start.subscription, start.target, start.reach, self.tail, start.passed, now);
        if let Some(order) = &mut lane.order {
            start.ordered.iter().for_each(|(key, row, facts)| order.park(*key, *row, facts));
        }
        lane.held = !lane.subscription.active;
        lane.paused = start.paused;
        lane.next_due = start.parked.then_some(Timestamp(i64::MIN));
        lane.window = self.window.0;
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
            if lane.renew_order() {
                self.settling.retain(|(_, of, ..)| *of != sub);
            }
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
        self.crew.in_hand() == 0 && self.commits == 0
    }

    /// Nothing of a lane that is held, or of one that does not exist, is on its way or about to change.
    pub fn is_home(&self, sub: SubId) -> bool {
        self.lanes.get(&sub).is_none_or(|lane| lane.held && lane.is_home() && lane.retrying.is_empty())
    }

    pub fn has(&self, sub: SubId) -> bool {
        self.lanes.contains_key(&sub)
    }

    /// Every lane has nothing left that could be sent now or retried before `until`, and everything that was decided is
    /// durable.
    pub fn drained(&self, now: Timestamp, until: Timestamp) -> bool {
        self.is_quiet() && self.lanes.values().all(|lane| lane.drained(now, until))
    }

    pub fn status(&self, now: Timestamp) -> Vec<LaneStatus> {
        self.lanes
            .iter()
            .map(|(sub, lane)| LaneStatus {
                sub: *sub,
                in_flight: lane.pace.in_flight(),
                breaker_until: lane.pace.breaker_open(now),
                suspect: lane.pace.standing() == Standing::Suspect,
                behind: lane.low(self.tail) < self.tail,
                next_due: lane.next_due.filter(|due| due.0 != i64::MIN),
                overdue_since: lane.overdue_since(now),
            })
            .collect()
    }

    /// Why the delivery `key`, which waits, does not go out now; `None`: its subscription has no lane. See [`Lane::holdup`].
    pub fn holdup(&self, key: DeliveryKey, order: Option<OrderKey>, is_row: bool, now: Timestamp) -> Option<Holdup> {
        let lane = self.lanes.get(&key.sub)?;
        let is_short = !self.crew.has_room_for(lane.pace.standing()) || self.room() == 0;
        let rest = || if is_short { Holdup::Workers } else { Holdup::Turn };
        Some(lane.holdup((key.seq, key.replay), order, is_row, now).unwrap_or_else(rest))
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
                notices.into_iter().for_each(|notice| self.notice(notice, now));
                self.settle();
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
        self.crew.look(now);
        self.share_out(now);
        while self.crew.has_room() && self.room() > 0 && !self.draining {
            let Some(sub) = self.next_lane() else { break };
            match self.turn(sub, now) {
                Turn::Again => self.line_up(sub),
                Turn::Over => {
                    self.queued.remove(&sub);
                }
                Turn::Stalled(standing) => self.stalled[stall(standing)].push_back(sub),
            }
        }
        let is_short = !self.crew.has_room() || self.stalled.iter().any(|lanes| !lanes.is_empty());
        let look = if is_short && !self.draining { self.crew.next_look() } else { None };
        let timer = self.timers.first().map(|(at, _)| *at);
        (std::mem::take(&mut self.actions), timer.into_iter().chain(look).min())
    }

    /// Shares the room in memory out among the lanes that are busy, now and then.
    fn share_out(&mut self, now: Timestamp) {
        let (window, since) = self.window;
        if since <= now && now < since.plus(SHARE_EVERY) {
            return;
        }
        let share = Window::of(self.lanes.values().filter(|lane| lane.is_busy()).count());
        self.window = (share, now);
        if share != window {
            self.lanes.values_mut().for_each(|lane| lane.window = share);
        }
    }

    /// The lane whose turn it is: one that stalled, once there is a worker for it; they have their share and no more.
    fn next_lane(&mut self) -> Option<SubId> {
        for standing in [Standing::Suspect, Standing::Unproven] {
            if !self.stalled[stall(standing)].is_empty() && self.crew.has_room_for(standing) {
                return self.stalled[stall(standing)].pop_front();
            }
        }
        self.ready.pop()
    }

    /// How many more deliveries may go out before outcomes must become durable.
    fn room(&self) -> usize {
        UNCOMMITTED_MAX.saturating_sub(self.in_hand.saturating_sub(self.crew.in_hand()) + self.commits)
    }

    /// Whether there are more lanes with something to send than workers.
    fn is_crowded(&self) -> bool {
        self.ready.len() >= self.crew.size().at_work
    }

    fn wake(&mut self, sub: SubId) {
        if self.lanes.contains_key(&sub) && self.queued.insert(sub) {
            self.line_up(sub);
        }
    }

    fn line_up(&mut self, sub: SubId) {
        if let Some(lane) = self.lanes.get(&sub) {
            self.ready.push(lane.subscription.tenant(), sub);
        }
    }

    /// A lane whose endpoint stands otherwise now need not wait among those it stood with.
    fn unstall(&mut self, sub: SubId) {
        for lanes in 0..self.stalled.len() {
            if let Some(at) = self.stalled[lanes].iter().position(|lane| *lane == sub) {
                self.stalled[lanes].remove(at);
                self.line_up(sub);
            }
        }
    }

    fn commit(&mut self, records: Vec<Record>, then: Option<Job<T>>) {
        self.commits += 1;
        self.decided += 1;
        self.actions.push(Action::Commit(records, then));
    }
}

/// Which of the stalled lanes are those of this standing.
fn stall(standing: Standing) -> usize {
    usize::from(standing == Standing::Suspect)
}
