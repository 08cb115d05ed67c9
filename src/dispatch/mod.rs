//! Accepted events and due retries become attempts, each subscription in its own lane, and attempts become records.
//!
//! The [`Scheduler`] takes inputs and answers with actions; it never waits, never touches a file or a socket and never asks
//! the time. A worker is [`worker::run`].

mod lane;
mod order;
#[cfg(test)]
mod order_tests;
mod outcome;
mod pace;
mod retry;
mod scheduler;
#[cfg(test)]
mod tests;
mod window;
pub mod worker;

use std::collections::VecDeque;
use std::sync::Arc;

pub use lane::{Holdup, Lane, Reach};
pub use order::order_key;
pub use outcome::{exchange, outcome};
pub use pace::Brake;
use scheduler::Ticket;
pub use scheduler::{CrewSize, LaneStart, LaneStatus, Scheduler, UNCOMMITTED_MAX, Withdrawal, interrupted};

use crate::model::{Attempt, AttemptTrigger, Event, Mode, Seq, SubId, Subscription, Timestamp, delivery_id};
use crate::store::{DeliveryKey, ExceptionRow, Origin, Record, RowNotice};

/// A delivery on its way to a worker.
#[derive(Debug)]
pub struct Job<T> {
    pub key: DeliveryKey,
    pub origin: Origin,
    pub event: Arc<Event>,
    pub subscription: Arc<Subscription>,
    pub target: Arc<T>,
    pub delivery: crate::model::DeliveryId,
    /// Number of this attempt, from 1.
    pub number: u32,
    /// Attempts made before the schedule began anew (a replay by hand).
    pub base: u32,
    pub replay_of: Option<[u8; 16]>,
    pub trigger: AttemptTrigger,
    /// The worker's place in the crew.
    ticket: Ticket,
    /// Connections the worker may use at a time.
    width: u32,
    /// Events whose first attempts the same worker makes next, as long as those before succeed and all of it is quick.
    more: VecDeque<Arc<Event>>,
}

impl<T> Job<T> {
    /// Makes first attempts for further events of the lane, by the same worker.
    fn to_come(&self) -> impl Fn(Arc<Event>) -> Self + use<T> {
        let (sub, ticket, width) = (self.key.sub, self.ticket, self.width);
        let (subscription, target) = (self.subscription.clone(), self.target.clone());
        move |event| Self {
            key: DeliveryKey { sub, seq: event.seq, replay: 0 },
            origin: Origin::Log,
            delivery: delivery_id(event.position, subscription.tenant(), &subscription.name, 0),
            event,
            subscription: subscription.clone(),
            target: target.clone(),
            number: 1,
            base: 0,
            replay_of: None,
            trigger: AttemptTrigger::First,
            ticket,
            width,
            more: VecDeque::new(),
        }
    }
}

/// What came of a job.
#[derive(Debug)]
pub struct Done<T> {
    pub job: Job<T>,
    pub attempt: Attempt,
    pub judgement: outcome::Judgement,
    /// What the receiver asked for.
    pub retry_after: Option<std::time::Duration>,
}

/// What a worker tells of the job it was given and the events behind it.
#[derive(Debug)]
pub struct Ran<T> {
    sub: SubId,
    mode: Mode,
    ticket: Ticket,
    done: Vec<Done<T>>,
    /// Events it does not get to.
    unsent: VecDeque<Arc<Event>>,
    /// Connections it needs no more.
    freed: usize,
    /// Attempts made, all reports together.
    count: usize,
    /// The endpoint is silent, and the worker waits for it.
    waits: bool,
    /// Some were unsent.
    is_cut: bool,
    /// The worker is free.
    ended: bool,
}

impl<T> Ran<T> {
    fn of(job: &Job<T>) -> Self {
        Self {
            sub: job.key.sub,
            mode: job.subscription.mode,
            ticket: job.ticket,
            done: Vec::new(),
            unsent: VecDeque::new(),
            freed: 0,
            count: 0,
            waits: false,
            is_cut: false,
            ended: false,
        }
    }

    /// These are for others.
    fn hand_back(&mut self, unsent: &mut VecDeque<Arc<Event>>) {
        self.is_cut |= !unsent.is_empty();
        self.unsent.append(unsent);
    }

    /// Tells what there is to tell so far, and forgets it.
    fn tell(&mut self, report: impl Fn(Self)) {
        let rest = Self { done: Vec::new(), unsent: VecDeque::new(), freed: 0, ..*self };
        report(std::mem::replace(self, rest));
    }

    fn is_news(&self) -> bool {
        !self.done.is_empty() || !self.unsent.is_empty() || self.freed > 0
    }
}

/// A delivery that has a row of its own, with its event if that is still kept.
#[derive(Clone, Debug)]
pub struct Parked {
    pub key: DeliveryKey,
    pub row: ExceptionRow,
    pub event: Option<Arc<Event>>,
}

/// Accepted events and who takes them: `matches` pairs an index into `events` with a subscription.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    pub events: Vec<Arc<Event>>,
    pub matches: Vec<(u32, SubId)>,
    /// Sequence number after the last accepted event; 0 when the batch brought none.
    pub next_seq: Seq,
}

/// What happened to the scheduler's world.
pub enum Input<T> {
    Fed(Feed),
    Ran(Ran<T>),
    /// Part of the log for a lane: what it takes of the events from where it asked up to `next`.
    LogRead {
        sub: SubId,
        events: Vec<Arc<Event>>,
        next: Seq,
    },
    /// The due rows of a lane, and when the next one after them is due.
    DueRead {
        sub: SubId,
        rows: Vec<Parked>,
        next_due: Option<Timestamp>,
    },
    /// A commit of ours is durable.
    Committed {
        notices: Vec<RowNotice>,
        commits: usize,
    },
}

/// What the scheduler wants done.
pub enum Action<T> {
    Send(Job<T>),
    /// Make these records durable; then send the job, if there is one.
    Commit(Vec<Record>, Option<Job<T>>),
    /// Make these records durable; then pause the lane.
    Pause {
        sub: SubId,
        reason: String,
        records: Vec<Record>,
    },
    /// Read the log for a lane from `from` on, below `upto`.
    ReadLog {
        sub: SubId,
        from: Seq,
        upto: Seq,
        events_max: usize,
        bytes_max: usize,
    },
    /// Read the rows of a lane that are due at `now`.
    ReadDue {
        sub: SubId,
        now: Timestamp,
        rows_max: usize,
    },
}
