//! Accepted events and due retries become attempts, each subscription in its own lane, and attempts become records.
//!
//! The [`Scheduler`] takes inputs and answers with actions; it never waits, never touches a file or a socket and never asks
//! the time. A worker is a loop around [`worker::attempt`].

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
pub mod worker;

use std::collections::VecDeque;
use std::sync::Arc;

pub use lane::{Lane, Reach};
pub use order::order_key;
use scheduler::Ticket;
pub use scheduler::{CREW_PER_WORKER, LaneStart, LaneStatus, Scheduler, UNCOMMITTED_MAX, interrupted};

use crate::model::{Attempt, AttemptTrigger, Event, Seq, SubId, Subscription, Timestamp, delivery_id};
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
    /// Events whose first attempts the same worker makes next, as long as each succeeds and all of it is quick.
    more: VecDeque<Arc<Event>>,
}

impl<T> Job<T> {
    /// The first attempt for another event of the lane, by the same worker.
    fn next(&self, event: Arc<Event>) -> Self {
        Self {
            key: DeliveryKey { sub: self.key.sub, seq: event.seq, replay: 0 },
            origin: Origin::Log,
            delivery: delivery_id(event.position, self.subscription.tenant(), &self.subscription.name, 0),
            event,
            subscription: self.subscription.clone(),
            target: self.target.clone(),
            number: 1,
            base: 0,
            replay_of: None,
            trigger: AttemptTrigger::First,
            ticket: self.ticket,
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

/// What a worker tells of the job it was given and the events behind it. Never empty.
#[derive(Debug)]
pub struct Ran<T> {
    pub done: Vec<Done<T>>,
    /// The worker is free.
    pub end: Option<RunEnd>,
}

/// How far a worker came.
#[derive(Debug)]
pub struct RunEnd {
    /// Attempts made, all reports together.
    pub count: usize,
    pub unsent: VecDeque<Arc<Event>>,
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
