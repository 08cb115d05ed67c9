//! The parts of a running engine, and what its threads do with them: each method is one turn of one thread.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use super::files::{SimClock, SimFiles};
use super::housekeeping::{Barrier, Putaway};
use super::mistakes::{Mistake, spoil};
use super::receivers::{Receivers, SimTarget};
use super::script::Setting;
use super::trees::SimTrees;
use crate::dispatch::{Action, CrewSize, Input, Job, Ran, Scheduler, worker};
use crate::engine::boot::{Booted, boot};
use crate::engine::catchup::{CatchUp, ReadRequest};
use crate::engine::committer::{self, Outlets};
use crate::engine::doubt::Doubt;
use crate::engine::intake::accept;
use crate::engine::messages::{Entry, Routing, Then, ToScheduler};
use crate::engine::schedule::{Outbox, apply_lanes};
use crate::env::{Clock, Files, SteadyTime};
use crate::ingest::{Ingest, IngestSettings, LogReader, Next};
use crate::model::{Event, Mode, Position, Seq, SubId, Subscription, Timestamp};
use crate::store::{End, Limits, Opened, Record, State};

pub type Wanted = Vec<(Arc<Subscription>, Arc<SimTarget>)>;

/// What an engine starts from.
pub struct Ground {
    pub setting: Setting,
    pub files: SimFiles,
    pub trees: SimTrees,
    pub clock: Arc<SimClock>,
    pub receivers: Arc<Receivers>,
    pub mistake: Option<Mistake>,
}

pub fn spool() -> PathBuf {
    PathBuf::from("/spool")
}

pub fn state_dir() -> &'static Path {
    Path::new("/state")
}

/// What a worker tells, when it arrives, and in which run.
struct Report {
    at: Duration,
    run: u64,
    ran: Ran<SimTarget>,
}

/// An event that is being taken in.
#[derive(Clone, Debug)]
pub struct Take {
    pub id: String,
    pub seq: Seq,
    pub position: Position,
    /// The lanes that take it, as bits.
    pub takers: u8,
    /// It was set aside.
    pub is_rejected: bool,
}

pub type Taken = Vec<Take>;

/// A commit that waits, and the events that it takes in.
pub struct Waiting {
    pub entry: Entry<SimTarget>,
    pub taken: Taken,
}

/// The parts of a running engine.
pub struct Machine {
    pub state: State,
    pub scheduler: Scheduler<SimTarget>,
    pub log: Arc<LogReader>,
    pub routing: Routing,
    pub entries: VecDeque<Waiting>,
    pub jobs: VecDeque<Job<SimTarget>>,
    /// Jobs that the committer or the scheduler let loose.
    loose: Receiver<Job<SimTarget>>,
    pub(super) ingest: Ingest,
    catchup: CatchUp,
    pub(super) outlets: Outlets<SimTarget>,
    inbox: Receiver<ToScheduler<SimTarget>>,
    pub observed: Arc<Mutex<Vec<Record>>>,
    /// Records on their way that end deliveries on purpose.
    pub ending: Vec<Record>,
    outbox: Outbox<SimTarget>,
    reads: VecDeque<ReadRequest>,
    reports: Vec<Report>,
    runs: u64,
    pub(super) putaway: Putaway,
    /// The round of forgetting that is not durable yet.
    pub(super) forgetting: Option<Barrier>,
    steady: SteadyTime,
    ages: SteadyTime,
    pub wake_at: Option<Timestamp>,
    pub tick_at: Timestamp,
    pub running: HashSet<SubId>,
}

impl Machine {
    /// Starts an engine; also tells what opening the state found.
    pub fn start(ground: &Ground, wanted: &Wanted) -> Result<(Self, Opened), String> {
        let now = ground.clock.now();
        let setting = &ground.setting;
        let files: Arc<dyn Files> = Arc::new(ground.files.clone());
        let limits = Limits {
            ledger_records: setting.ledger_records,
            checkpoint_records: setting.checkpoint_records,
            journal_file_bytes: setting.journal_file_bytes,
        };
        let text = |error: &dyn std::fmt::Display| error.to_string();
        files.create_dirs(state_dir(), 0o700).map_err(|error| text(&error))?;
        let (state, mut opened) = State::open_unlocked(files.clone(), &ground.trees, limits, state_dir(), now)
            .map_err(|error| text(&error))?;
        if ground.mistake == Some(Mistake::BarrierForgotten) {
            opened = Opened::default();
        }
        let settings = IngestSettings {
            seed: setting.seed,
            retention_age: setting.retention_age,
            retention_size: setting.retention_size,
            ..IngestSettings::new(spool())
        };
        let Booted { state, ingest, log, scheduler, routing, begins, .. } =
            boot((state, &opened), settings, files, wanted, CrewSize::of(setting.workers, 8), now)
                .map_err(|error| text(&error))?;
        let (to_scheduler, inbox) = unbounded();
        let (to_workers, loose) = unbounded();
        let observed = Arc::new(Mutex::new(Vec::new()));
        let outlets = Outlets {
            scheduler: to_scheduler,
            jobs: Box::new(move |job| to_workers.send(job).unwrap()),
            observe: Box::new({
                let observed = observed.clone();
                move |records, _| observed.lock().unwrap().extend_from_slice(records)
            }),
            clock: ground.clock.clone(),
        };
        let catchup = CatchUp::new(state.reader(), log.clone());
        let running = routing.subscriptions.keys().copied().collect();
        let machine = Self {
            state,
            scheduler,
            log,
            routing,
            entries: VecDeque::new(),
            jobs: VecDeque::new(),
            loose,
            ingest,
            catchup,
            outlets,
            inbox,
            observed,
            ending: Vec::new(),
            outbox: Outbox::default(),
            reads: VecDeque::new(),
            reports: Vec::new(),
            runs: 0,
            running,
            putaway: Putaway::Rest,
            forgetting: None,
            steady: SteadyTime::starting(begins, now, ground.clock.monotonic()),
            ages: SteadyTime::starting(now, now, ground.clock.monotonic()),
            wake_at: Some(now),
            tick_at: now,
        };
        Ok((machine, opened))
    }

    /// The time that schedules run on.
    pub fn now(&mut self, ground: &Ground) -> Timestamp {
        match ground.mistake {
            Some(Mistake::WallClockDues) => ground.clock.now(),
            _ => self.steady.at(ground.clock.now(), ground.clock.monotonic()),
        }
    }

    /// The time by which things age.
    pub fn ages_now(&mut self, ground: &Ground) -> Timestamp {
        self.ages.at(ground.clock.now(), ground.clock.monotonic())
    }

    pub fn push(&mut self, records: Vec<Record>, then: Then<SimTarget>) {
        self.entries.push_back(Waiting { entry: Entry::new(records, then), taken: Vec::new() });
    }

    /// The intake reads. Returns whether anything came.
    pub fn tick(&mut self, ground: &Ground, takers: &dyn Fn(&Event) -> u8) -> Result<bool, Doubt> {
        let now = ground.clock.now();
        let tick = self.ingest.tick(now)?;
        self.tick_at = match tick.next {
            Next::Now => now,
            Next::At(at) => at,
        };
        let any = !tick.batches.is_empty();
        for batch in tick.batches {
            let take = |event: &Event| Take {
                id: event.id.to_string(),
                seq: event.seq,
                position: event.position,
                takers: takers(event),
                is_rejected: false,
            };
            let mut taken: Taken = batch.events.iter().map(take).collect();
            for extent in batch.extents.iter().filter(|extent| extent.quarantined > 0) {
                let position = Position { segment: extent.segment, offset: extent.start };
                let prefix = extent.segment.to_string();
                let range = usize::try_from(extent.start).unwrap_or(0)..usize::try_from(extent.end).unwrap_or(0);
                let text = ground.files.disk.bytes_of(&spool().join("claimed"), &prefix, range);
                let id = String::from_utf8_lossy(&text).split(['"', '-']).nth(3).unwrap_or_default().to_owned();
                taken.push(Take { id, seq: extent.first_seq, position, takers: 0, is_rejected: true });
            }
            let (records, feed) = accept(batch, &self.routing);
            self.entries.push_back(Waiting { entry: Entry::new(records, Then::Feed(feed)), taken });
        }
        Ok(any)
    }

    /// What the next commit of up to `count` entries takes in.
    pub fn about_to_take(&self, count: usize) -> Taken {
        self.entries.iter().take(count).flat_map(|waiting| waiting.taken.clone()).collect()
    }

    /// The committer takes up to `count` entries. Returns whether there were any.
    pub fn commit(&mut self, count: usize, ground: &Ground) -> Result<bool, Doubt> {
        let count = count.min(self.entries.len());
        let mut entries: Vec<_> = self.entries.drain(..count).map(|waiting| waiting.entry).collect();
        if entries.is_empty() {
            return Ok(false);
        }
        if let Some(mistake) = ground.mistake {
            let next_seq = self.state.reader().ledger().next_seq;
            entries.iter_mut().for_each(|entry| spoil(&mut entry.records, mistake, next_seq));
        }
        committer::commit(&mut self.state, entries, &self.outlets)?;
        Ok(true)
    }

    /// The scheduler takes up to `count` inputs and lets the lanes act. An error names a lane that sent though it is paused or
    /// no longer configured.
    pub fn schedule(&mut self, count: usize, random: &mut fastrand::Rng, ground: &Ground) -> Result<bool, String> {
        let now = self.now(ground);
        let mut happened = false;
        for message in self.inbox.clone().try_iter().take(count) {
            happened = true;
            match message {
                ToScheduler::Input(input) => self.scheduler.take(input, now, random.u64(..)),
                ToScheduler::Lanes(commands) => apply_lanes(&mut self.scheduler, commands, now),
                ToScheduler::Ask(question) => {
                    self.pass_on(now, ground)?;
                    self.flush();
                    question(&mut self.scheduler);
                }
                ToScheduler::Stop => {}
            }
        }
        Ok(self.pass_on(now, ground)? || happened)
    }

    /// Lets the lanes act. Returns whether any did.
    fn pass_on(&mut self, now: Timestamp, ground: &Ground) -> Result<bool, String> {
        let (actions, wake_at) = self.scheduler.run(now);
        self.wake_at = wake_at;
        let happened = !actions.is_empty();
        for action in actions {
            if let Action::Send(job) | Action::Commit(_, Some(job)) = &action {
                self.may_start(job)?;
            }
            if let Action::Commit(records, _) = &action {
                let skipped = records.iter().filter(|each| matches!(each, Record::Ended { end: End::Superseded, .. }));
                self.ending.extend(skipped.cloned());
            }
            match action {
                Action::Send(job) => self.jobs.push_back(job),
                Action::Commit(records, job) if ground.mistake == Some(Mistake::SentBeforeClaim) => {
                    self.jobs.extend(job);
                    self.outbox.put(records, None, ground.clock.monotonic());
                }
                Action::Commit(records, job) => self.outbox.put(records, job, ground.clock.monotonic()),
                Action::Pause { sub, reason, records } => {
                    self.flush();
                    self.entries.push_back(Waiting { entry: Outbox::pause(sub, reason, records), taken: Vec::new() });
                }
                Action::ReadLog { sub, from, upto, events_max, bytes_max } => {
                    self.reads.push_back(ReadRequest::Log { sub, from, upto, events_max, bytes_max });
                }
                Action::ReadDue { sub, now, rows_max } => {
                    self.reads.push_back(ReadRequest::Due { sub, now, rows_max });
                }
            }
        }
        Ok(happened)
    }

    /// Once the scheduler has heard of everything that is durable, it starts nothing for a lane that is paused or gone.
    fn may_start(&self, job: &Job<SimTarget>) -> Result<(), String> {
        let reader = self.state.reader();
        let ledger = reader.ledger();
        let lane = ledger.lanes.get(&job.key.sub).ok_or("a delivery of an unknown subscription was started")?;
        if self.inbox.is_empty() && (lane.paused.is_some() || lane.removed.is_some()) {
            return Err(format!("a delivery of \"{}\" was started though it is paused or removed", lane.name));
        }
        Ok(())
    }

    /// What the scheduler gathered goes to the committer.
    pub fn flush(&mut self) -> bool {
        let entry = self.outbox.take();
        let any = entry.is_some();
        self.entries.extend(entry.map(|entry| Waiting { entry, taken: Vec::new() }));
        any
    }

    /// One worker takes a job and makes its attempts; what it reports arrives later. Returns the lane it worked for.
    pub fn work(&mut self, random: &mut fastrand::Rng, ground: &Ground) -> Option<usize> {
        self.jobs.extend(self.loose.try_iter());
        let job = self.jobs.pop_front()?;
        let lane = job.target.0;
        let slow = Duration::from_millis(random.u64(..40));
        let at = ground.clock.monotonic() + slow;
        let reports = std::cell::RefCell::new(Vec::new());
        worker::run(job, &*ground.receivers, &*ground.clock, |report| reports.borrow_mut().push(report));
        self.runs += 1;
        let run = self.runs;
        self.reports.extend(reports.into_inner().into_iter().map(|ran| Report { at, run, ran }));
        Some(lane)
    }

    /// A report arrives: that of any run, the reports of one run in order.
    pub fn report(&mut self, random: &mut fastrand::Rng, ground: &Ground) -> bool {
        let now = ground.clock.monotonic();
        let ready: Vec<u64> = self.reports.iter().filter(|report| report.at <= now).map(|report| report.run).collect();
        if ready.is_empty() {
            return false;
        }
        let run = ready[random.usize(..ready.len())];
        let first = self.reports.iter().position(|report| report.run == run).expect("it is among them");
        let report = self.reports.remove(first);
        let _ = self.outlets.scheduler.send(ToScheduler::Input(Input::Ran(report.ran)));
        true
    }

    pub fn next_report(&self) -> Option<Duration> {
        self.reports.iter().map(|report| report.at).min()
    }

    /// The catch-up thread answers one request.
    pub fn read(&mut self) -> Result<bool, Doubt> {
        let Some(request) = self.reads.pop_front() else { return Ok(false) };
        let input = self.catchup.answer(request)?;
        let _ = self.outlets.scheduler.send(ToScheduler::Input(input));
        Ok(true)
    }

    /// Everything is read, committed, sent and reported.
    pub fn is_at_rest(&self) -> bool {
        let queues = self.entries.is_empty() && self.jobs.is_empty() && self.loose.is_empty() && self.inbox.is_empty();
        queues && self.reads.is_empty() && self.reports.is_empty() && self.scheduler.is_quiet()
    }

    pub fn is_drained(&self) -> bool {
        self.ingest.is_drained()
    }

    pub fn problems(&self) -> Vec<String> {
        self.ingest.problems().iter().map(|problem| format!("{}: {}", problem.path.display(), problem.detail)).collect()
    }
}

/// Whether a subscription promises at most one transmission.
pub fn at_most_once(subscription: &Subscription) -> bool {
    subscription.mode == Mode::AtMostOnce
}
