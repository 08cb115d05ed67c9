//! The scheduler thread: waits for inputs or the next due time, and passes actions on. What is to become durable is
//! gathered for a moment, so that one message and one sync serve many outcomes.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::catchup::ReadRequest;
use super::messages::{Entry, LaneCommand, Then, ToScheduler};
use super::pool::Pool;
use super::running::Shared;
use super::target::Target;
use super::watchdog::{BEAT, Who};
use crate::dispatch::{Action, Job, Scheduler};
use crate::model::{SubId, Timestamp};
use crate::store::Record;

/// Inputs taken before the lanes get a turn.
const INPUTS_AT_ONCE: usize = 1024;
/// How long outcomes wait for others. What was delivered in this time is delivered again if the engine is killed.
const GATHER: Duration = Duration::from_millis(3);
const GATHERED_MAX: usize = 256;

/// Commits on their way to the committer.
pub(super) struct Outbox<T> {
    records: Vec<Record>,
    /// Claims are among the records; these jobs wait for them.
    jobs: Vec<Job<T>>,
    commits: usize,
    /// When it goes out at the latest, by the monotonic clock.
    due: Option<Duration>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { records: Vec::new(), jobs: Vec::new(), commits: 0, due: None }
    }
}

impl<T> Outbox<T> {
    pub(super) fn put(&mut self, records: Vec<Record>, job: Option<Job<T>>, now: Duration) {
        self.records.extend(records);
        self.jobs.extend(job);
        self.commits += 1;
        self.due.get_or_insert(now + GATHER);
    }

    pub(super) fn is_ripe(&self, now: Duration) -> bool {
        !self.jobs.is_empty() || self.records.len() >= GATHERED_MAX || self.due.is_some_and(|due| due <= now)
    }

    /// What is to be committed now, if anything.
    pub(super) fn take(&mut self) -> Option<Entry<T>> {
        let Self { records, jobs, commits, .. } = std::mem::take(self);
        let then = if jobs.is_empty() { Then::Nothing } else { Then::Send(jobs) };
        (commits > 0).then(|| Entry { commits, ..Entry::new(records, then) })
    }

    /// A pause by the receiver: it goes to the committer behind everything that was gathered.
    pub(super) fn pause(sub: SubId, reason: String, records: Vec<Record>) -> Entry<T> {
        Entry { commits: 1, ..Entry::new(records, Then::Lanes(vec![LaneCommand::Pause { sub, reason }])) }
    }

    fn send(&mut self, entries: &Sender<Entry<T>>) {
        if let Some(entry) = self.take() {
            let _ = entries.send(entry);
        }
    }
}

/// Runs until it is told to stop.
pub(super) fn schedule(
    mut scheduler: Scheduler<Target>,
    inbox: &Receiver<ToScheduler<Target>>,
    shared: &Shared,
    pool: &Pool<Job<Target>>,
    reads: &Sender<ReadRequest>,
) {
    let clock = &*shared.clock;
    let mut outbox = Outbox::<Target>::default();
    let now = || shared.schedule_now();
    let mut wake_at = Some(now());
    loop {
        let lanes_wait = wake_at.map(|at| at.since(now()));
        let outbox_wait = outbox.due.map(|due| due.saturating_sub(clock.monotonic()));
        let wait = lanes_wait.into_iter().chain(outbox_wait).fold(BEAT, Duration::min);
        let first = inbox.recv_timeout(wait).ok();
        shared.pulses.beat(Who::Scheduler);
        for message in first.into_iter().chain(inbox.try_iter().take(INPUTS_AT_ONCE)) {
            match message {
                ToScheduler::Input(input) => scheduler.take(input, now(), fastrand::u64(..)),
                ToScheduler::Lanes(commands) => apply_lanes(&mut scheduler, commands, now()),
                ToScheduler::Ask(question) => {
                    // What was decided before the answer goes to the committer before what follows from it.
                    pass_on(&mut scheduler, now(), shared, pool, reads, &mut outbox);
                    outbox.send(&shared.entries);
                    question(&mut scheduler);
                }
                ToScheduler::Stop => {
                    pass_on(&mut scheduler, now(), shared, pool, reads, &mut outbox);
                    outbox.send(&shared.entries);
                    return;
                }
            }
        }
        wake_at = pass_on(&mut scheduler, now(), shared, pool, reads, &mut outbox);
        if outbox.is_ripe(clock.monotonic()) {
            outbox.send(&shared.entries);
        }
    }
}

/// Lets the lanes act; returns when they want to act again at the latest.
fn pass_on(
    scheduler: &mut Scheduler<Target>,
    now: Timestamp,
    shared: &Shared,
    pool: &Pool<Job<Target>>,
    reads: &Sender<ReadRequest>,
    outbox: &mut Outbox<Target>,
) -> Option<Timestamp> {
    let (actions, wake_at) = scheduler.run(now);
    for action in actions {
        match action {
            Action::Send(job) => pool.submit(job),
            Action::Commit(records, job) => outbox.put(records, job, shared.clock.monotonic()),
            Action::Pause { sub, reason, records } => {
                outbox.send(&shared.entries);
                let _ = shared.entries.send(Outbox::pause(sub, reason, records));
            }
            Action::ReadLog { sub, from, upto, events_max, bytes_max } => {
                let _ = reads.send(ReadRequest::Log { sub, from, upto, events_max, bytes_max });
            }
            Action::ReadDue { sub, now, rows_max } => {
                let _ = reads.send(ReadRequest::Due { sub, now, rows_max });
            }
        }
    }
    wake_at
}

/// Those of which nothing is on its way or about to change.
pub(super) fn at_home<T>(scheduler: &Scheduler<T>, subs: Vec<SubId>) -> Vec<SubId> {
    subs.into_iter().filter(|sub| scheduler.is_home(*sub)).collect()
}

/// Changes lanes in the order given.
pub(super) fn apply_lanes<T>(scheduler: &mut Scheduler<T>, commands: Vec<LaneCommand<T>>, now: Timestamp) {
    for command in commands {
        match command {
            LaneCommand::Add(start) => scheduler.add(*start, now),
            LaneCommand::Reconfigure { sub, subscription, target } => {
                scheduler.reconfigure(sub, subscription, target, now);
            }
            LaneCommand::Hold(sub) => scheduler.hold(sub),
            LaneCommand::Forget(sub) => scheduler.forget(sub),
            LaneCommand::Pause { sub, reason } => scheduler.pause(sub, reason),
            LaneCommand::Resume(sub) => scheduler.resume(sub),
            LaneCommand::Drain => scheduler.drain(),
        }
    }
}
