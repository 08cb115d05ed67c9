//! What the engine's threads say to each other.

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::Sender;

use crate::config::Retention;
use crate::dispatch::{Feed, Input, Job, LaneStart, Scheduler};
use crate::model::{SubId, Subscription, Timestamp};
use crate::routing::{CompiledFilter, Router};
use crate::store::{Record, State};

/// What happens once an entry's records are durable.
pub enum Then<T> {
    Nothing,
    /// Claims: their jobs may be sent.
    Send(Vec<Job<T>>),
    /// Accepted events go to the lanes.
    Feed(Feed),
    /// The lanes change, in step with the events around it.
    Lanes(Vec<LaneCommand<T>>),
    /// Somebody looks at the state between two commits.
    Inspect(Box<dyn FnOnce(&State) + Send>),
    /// History that is older, or larger, than this goes.
    Prune {
        bytes_max: u64,
        before: Timestamp,
    },
    /// The committer ends after this commit.
    Stop,
}

/// Something to make durable, and what follows.
pub struct Entry<T> {
    pub records: Vec<Record>,
    pub then: Then<T>,
    /// Commits of the scheduler in it: it is told when they are durable.
    pub commits: usize,
    /// Told whether it became durable.
    pub reply: Option<Sender<Result<(), String>>>,
}

impl<T> Entry<T> {
    pub fn new(records: Vec<Record>, then: Then<T>) -> Self {
        Self { records, then, commits: 0, reply: None }
    }
}

/// A change of lanes.
pub enum LaneCommand<T> {
    Add(Box<LaneStart<T>>),
    Reconfigure { sub: SubId, subscription: Arc<Subscription>, target: Arc<T> },
    Hold(SubId),
    Forget(SubId),
    Pause { sub: SubId, reason: String },
    Resume(SubId),
    Drain,
}

/// Something to be done with the scheduler in its own thread.
pub type Question<T> = Box<dyn FnOnce(&mut Scheduler<T>) + Send>;

/// What the scheduler thread receives.
pub enum ToScheduler<T> {
    Input(Input<T>),
    Lanes(Vec<LaneCommand<T>>),
    /// Asks for a value computed from the scheduler.
    Ask(Question<T>),
    Stop,
}

/// What the intake thread is asked to do between two reads.
pub enum ToIntake<T> {
    /// Route new events by this configuration from the next event on.
    Reconfigure(Box<Reconfigure<T>>),
    /// Read no more.
    Stop,
}

/// A new set of subscriptions, and how long delivered files are kept now.
pub struct Reconfigure<T> {
    pub subscriptions: Vec<(Arc<Subscription>, Arc<T>)>,
    pub retention: Retention,
    pub reply: Sender<Result<(), String>>,
}

/// Who takes new events, by the configuration in force.
#[derive(Clone, Default)]
pub struct Routing {
    pub router: Arc<Router>,
    /// The settings behind each number.
    pub subscriptions: Arc<HashMap<SubId, Arc<Subscription>>>,
    /// What the router was built from.
    pub filters: Arc<HashMap<SubId, Arc<CompiledFilter>>>,
}
