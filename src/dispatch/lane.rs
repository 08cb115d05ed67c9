//! One subscription's place in the log: what it has examined, what waits, what is on its way. Pure.
//!
//! ```text
//!        low                                   next              tail
//!   ------|-------------------------------------|-----------------|---> sequence numbers
//!   judged| outstanding and waiting (bounded)   | not examined    |
//! ```
//!
//! A lane that has examined everything is *caught up* and fed live; one that has no room, or begins in the past, is
//! *behind* and reads the log from `next` until the two meet.

mod holdup;
mod untake;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use rangemap::RangeSet;

pub use holdup::Holdup;
pub use untake::Untaken;

use super::Parked;
use super::order::{Next, Order, RowKey, Skipped};
use super::pace::Pace;
use super::window::Window;
use crate::model::{Event, Mode, OrderKey, Seq, Subscription, Timestamp};

/// Most events a worker takes at a time; fewer where a crash leaves those unknown.
const RUN_EVENTS: usize = 128;
const RUN_CLAIMS: usize = 64;

/// What of the log a lane has examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything; it is fed live.
    CaughtUp,
    /// Nothing from this event on.
    Behind(Seq),
}

/// The lane of one subscription.
pub struct Lane<T> {
    pub subscription: Arc<Subscription>,
    pub target: Arc<T>,
    pub pace: Pace,
    /// Why nothing may be sent.
    pub paused: Option<String>,
    /// The receiver said that it is gone, and the pause that follows is not durable yet.
    pub pausing: bool,
    /// The configuration switched it off (or dropped it): what waits is held.
    pub held: bool,
    reach: Reach,
    /// Each with the first event behind the one before it: what lies between is not for this lane.
    waiting: VecDeque<(Arc<Event>, Seq)>,
    waiting_bytes: usize,
    pub window: Window,
    /// Where the next event that waits begins, so to speak.
    examined: Seq,
    /// Events that a worker took and did not get to, or whose turn has come: the next to be sent.
    returned: VecDeque<Arc<Event>>,
    /// How many events a worker got through lately.
    run: usize,
    /// Events of the log that are on their way, were returned, or are held behind others; each with where it begins.
    outstanding: BTreeMap<Seq, Seq>,
    /// Events at or above `low` that were judged before the engine started.
    passed_before: RangeSet<Seq>,
    /// Outstanding events that another order held: they are looked at before what waits.
    rearranged: VecDeque<Arc<Event>>,
    /// Which deliveries wait for which, if the subscription wants that.
    pub order: Option<Order>,
    /// What the order found pointless and nobody has written down yet.
    pub skipped: Vec<Skipped>,
    /// Rows that are on their way, or whose new state the view does not show yet.
    pub retrying: HashSet<(Seq, u32)>,
    /// When the soonest parked row that is not being retried is due.
    pub next_due: Option<Timestamp>,
    /// The soonest due time that was noticed while a read of due rows was under way.
    pub due_meanwhile: Option<Timestamp>,
    /// Rows that changed while a read of due rows was under way: what it brings of them is out of date.
    changed_meanwhile: HashSet<(Seq, u32)>,
    /// Where the read of the log that is under way began.
    pub reading_log: Option<Seq>,
    pub reading_due: bool,
    /// The timer that is set for this lane.
    pub timer: Option<Timestamp>,
    /// Due rows that were read and wait for a worker.
    pub due: VecDeque<Parked>,
    /// The last turn was a retry's: first attempts have the next, so that neither keeps the other waiting.
    pub retried: bool,
}

impl<T> Lane<T> {
    pub fn new(
        subscription: Arc<Subscription>,
        target: Arc<T>,
        reach: Reach,
        tail: Seq,
        passed_before: RangeSet<Seq>,
        now: Timestamp,
    ) -> Self {
        let order = Order::of(&subscription);
        let pace = Pace::new(subscription.max_in_flight, subscription.rate_limit, now);
        Self {
            subscription,
            target,
            pace,
            paused: None,
            pausing: false,
            held: false,
            reach,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            window: Window::of(1),
            examined: if let Reach::Behind(from) = reach { from } else { tail },
            returned: VecDeque::new(),
            run: 1,
            outstanding: BTreeMap::new(),
            passed_before,
            rearranged: VecDeque::new(),
            order,
            skipped: Vec::new(),
            retrying: HashSet::new(),
            next_due: None,
            due_meanwhile: None,
            changed_meanwhile: HashSet::new(),
            reading_log: None,
            reading_due: false,
            timer: None,
            due: VecDeque::new(),
            retried: false,
        }
    }

    pub fn may_send(&self) -> bool {
        self.paused.is_none() && !self.pausing && !self.held
    }

    pub fn at_most_once(&self) -> bool {
        self.subscription.mode == Mode::AtMostOnce
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.is_empty()
            || (self.waiting.len() < self.window.events && self.waiting_bytes + bytes <= self.window.bytes)
    }

    fn push(&mut self, event: Arc<Event>) {
        if self.passed_before.contains(&event.seq) {
            return;
        }
        self.waiting_bytes += event.line.len();
        let from = std::mem::replace(&mut self.examined, event.seq + 1);
        self.waiting.push_back((event, from));
    }

    /// A matched event that was just accepted. A lane that is behind will read it later.
    pub fn offer(&mut self, event: &Arc<Event>) {
        if self.reach != Reach::CaughtUp {
            return;
        }
        if self.may_send() && self.has_room(event.line.len()) {
            self.push(event.clone());
        } else {
            self.reach = Reach::Behind(event.seq);
        }
    }

    /// Events read from the log. `next` is the first event that was not examined, `tail` the first one not yet accepted.
    /// A lane that has moved since it asked (it gave its window back) does not take them: it would miss what lies between.
    pub fn extend(&mut self, events: Vec<Arc<Event>>, next: Seq, tail: Seq) {
        if self.reading_log.take().map(Reach::Behind) != Some(self.reach) {
            return;
        }
        events.into_iter().for_each(|event| self.push(event));
        self.reach = if next >= tail { Reach::CaughtUp } else { Reach::Behind(next) };
        let low = self.low(tail);
        self.passed_before.remove(0..low);
    }

    /// Where the log is to be read for this lane, and how many bytes and events there is room for.
    pub fn wants_log(&self) -> Option<(Seq, usize, usize)> {
        match self.reach {
            Reach::Behind(from) if self.may_send() && self.reading_log.is_none() && self.has_half_a_window() => {
                let Window { events, bytes } = self.window;
                let room = events.saturating_sub(self.waiting.len());
                Some((from, room, bytes.saturating_sub(self.waiting_bytes)))
            }
            _ => None,
        }
    }

    fn has_half_a_window(&self) -> bool {
        self.waiting.len() <= self.window.events / 2 && self.waiting_bytes <= self.window.bytes / 2
    }

    /// Whether it holds events, or would if it had room.
    pub fn is_busy(&self) -> bool {
        self.may_send() && (!self.waiting.is_empty() || self.reach != Reach::CaughtUp)
    }

    /// Whether an event waits and may be looked at.
    pub fn may_start(&self) -> bool {
        let waits = !self.waiting.is_empty() || !self.rearranged.is_empty();
        !self.returned.is_empty() || (waits && !self.is_order_full())
    }

    fn is_order_full(&self) -> bool {
        self.order.as_ref().is_some_and(Order::is_full)
    }

    /// Takes the next event to send, if it is `sendable`; it is outstanding from now on. Those whose keys are busy are held.
    pub fn take(&mut self, sendable: impl Fn(&Event) -> bool) -> Option<Arc<Event>> {
        if let Some(event) = self.returned.front() {
            return if sendable(event) { self.returned.pop_front() } else { None };
        }
        while self.may_start() {
            let event = match self.rearranged.front() {
                Some(event) if !sendable(event) => return None,
                Some(_) => self.rearranged.pop_front()?,
                None => {
                    self.waiting.front().filter(|(event, _)| sendable(event))?;
                    let (event, from) = self.waiting.pop_front()?;
                    self.waiting_bytes -= event.line.len();
                    self.outstanding.insert(event.seq, from);
                    event
                }
            };
            let Some(order) = &mut self.order else { return Some(event) };
            let Some(key) = order.key(&event) else { return Some(event) };
            let (goes, skipped) = order.arrive(key, &event, |row| self.retrying.contains(row));
            self.skipped.extend(skipped);
            if goes {
                return Some(event);
            }
        }
        None
    }

    /// Takes the events that the same worker may send next, at most `room`, up to the first that is not `sendable`.
    /// `crowded`: no other worker has time for this lane.
    pub fn take_more(&mut self, room: usize, crowded: bool, sendable: impl Fn(&Event) -> bool) -> VecDeque<Arc<Event>> {
        let count = self.pace.share(self.waiting.len() + self.returned.len(), crowded).min(self.run).min(room);
        (1..count).map_while(|_| self.take(&sendable)).collect()
    }

    /// A worker gave back what it does not get to. How far it came is what the next one gets, or more if it did all it
    /// was given.
    pub fn ran(&mut self, count: usize, unsent: VecDeque<Arc<Event>>, did_all: bool) {
        if !unsent.is_empty() {
            self.run = count.max(1);
        }
        if did_all {
            self.run = (self.run * 2).min(if self.at_most_once() { RUN_CLAIMS } else { RUN_EVENTS });
        }
        self.returned.extend(unsent);
    }

    /// An event of the log was judged. Returns where it begins.
    pub fn settle(&mut self, seq: Seq) -> Seq {
        self.outstanding.remove(&seq).unwrap_or(seq)
    }

    /// What a delivery that is in hand, or has a row, is kept in order by.
    pub fn order_of(&self, row: RowKey) -> Option<OrderKey> {
        self.order.as_ref().and_then(|order| order.key_of(row))
    }

    /// Puts the order in force that the subscription asks for now. Returns whether it is another one.
    pub fn renew_order(&mut self) -> bool {
        if let Some(order) = self.order.as_mut().filter(|order| order.is_of(&self.subscription)) {
            order.set_supersedes(self.subscription.supersede);
            return false;
        }
        let renewed = Order::of(&self.subscription);
        let Some(mut before) = std::mem::replace(&mut self.order, renewed) else { return false };
        self.rearranged.extend(before.take_held());
        self.rearranged.make_contiguous().sort_unstable_by_key(|event| event.seq);
        before.take_due().iter().for_each(|parked| self.put_back(parked));
        true
    }

    /// Takes in hand what is next of a key.
    pub fn follow(&mut self, next: Next) {
        match next {
            Next::Event(event) => self.returned.push_back(event),
            Next::Row(parked) => self.due.push_back(*parked),
            Next::Nothing => {}
        }
    }

    /// Every event of this lane below this has been judged.
    pub fn low(&self, tail: Seq) -> Seq {
        let examined = match self.reach {
            Reach::CaughtUp => tail,
            Reach::Behind(next) => next,
        };
        let waiting = self.waiting.front().map(|(event, _)| event.seq);
        let outstanding = self.outstanding.first_key_value().map(|(seq, _)| *seq);
        [Some(examined), waiting, outstanding].into_iter().flatten().min().unwrap_or(tail)
    }

    /// No worker has anything of this lane.
    pub fn is_home(&self) -> bool {
        let held = self.rearranged.len() + self.order.as_ref().map_or(0, Order::held);
        self.outstanding.len() == self.returned.len() + held && self.pace.in_flight() == 0
    }

    /// Nothing waits that could be sent now or after an outcome. Retries that are due after `until` and what an open
    /// breaker holds back do not count.
    pub fn drained(&self, now: Timestamp, until: Timestamp) -> bool {
        if !self.may_send() {
            return self.is_home();
        }
        let quiet = self.is_home() && self.due.is_empty();
        let examined = self.waiting.is_empty() && self.rearranged.is_empty() && self.reach == Reach::CaughtUp;
        let log_done = self.returned.is_empty() && (examined || self.is_order_full());
        let due_done = self.next_due.is_none_or(|due| due > until) && !self.reading_due;
        quiet && due_done && (log_done || self.pace.breaker_open(now).is_some())
    }

    /// Since when the delivery waits that has waited longest for an attempt that could be made now: an event since it was
    /// seen, a retry since it was due. `None` when nothing does, or nothing may be sent.
    pub fn overdue_since(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.may_send() {
            return None;
        }
        let is_open = self.pace.breaker_open(now).is_some();
        let first = self.returned.front().or(self.waiting.front().map(|(event, _)| event));
        let first = first.filter(|_| !is_open).map(|event| event.seen);
        let retry = self.due.front().map(|parked| parked.row.due);
        let unread = self.next_due.filter(|due| *due <= now && due.0 != i64::MIN);
        [first, retry, unread].into_iter().flatten().min()
    }

    /// Forgets what it holds in memory and reads it again later: for pauses, which keep the events.
    pub fn give_back(&mut self) {
        if let Some((first, from)) = self.waiting.front() {
            self.examined = *from;
            self.reach = Reach::Behind(first.seq);
            self.waiting.clear();
            self.waiting_bytes = 0;
        }
        for parked in std::mem::take(&mut self.due) {
            if let Some(order) = &mut self.order {
                order.put_back(&parked);
            }
            self.put_back(&parked);
        }
        let waiting = self.order.as_mut().map(Order::take_due).unwrap_or_default();
        waiting.iter().for_each(|parked| self.put_back(parked));
    }

    /// A due row waits in the view again.
    fn put_back(&mut self, parked: &Parked) {
        self.retrying.remove(&(parked.key.seq, parked.key.replay));
        self.note_due(parked.row.due);
    }

    /// The row of a delivery is in the view as it is now: it is due then, or no longer parked.
    pub fn row_changed(&mut self, key: (Seq, u32), due: Option<Timestamp>) {
        self.retrying.remove(&key);
        if self.reading_due {
            self.changed_meanwhile.insert(key);
        }
        if let Some(due) = due {
            self.note_due(due);
        }
    }

    /// Takes due rows that were read. A row that changed since, or is on its way, is left for a later read.
    pub fn take_due(&mut self, rows: Vec<Parked>, next_due: Option<Timestamp>) {
        self.reading_due = false;
        self.next_due = next_due;
        if let Some(due) = self.due_meanwhile.take() {
            self.note_due(due);
        }
        let changed = std::mem::take(&mut self.changed_meanwhile);
        for row in rows {
            let key = (row.key.seq, row.key.replay);
            if !changed.contains(&key) && self.retrying.insert(key) {
                match &mut self.order {
                    Some(order) => self.due.extend(order.admit(row)),
                    None => self.due.push_back(row),
                }
            }
        }
    }

    /// A parked row is due then.
    fn note_due(&mut self, due: Timestamp) {
        let slot = if self.reading_due { &mut self.due_meanwhile } else { &mut self.next_due };
        *slot = Some(slot.map_or(due, |earlier| earlier.min(due)));
    }
}
