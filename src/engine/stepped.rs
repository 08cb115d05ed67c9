//! The engine without threads: the same parts, one step at a time, over a clock that is moved and a transport that
//! answers from a script. What the threads do in parallel happens here in a fixed order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, unbounded};

use super::audit;
use super::boot::{Booted, boot};
use super::catchup::{CatchUp, ReadRequest};
use super::committer::{self, Outlets};
use super::intake::accept;
use super::messages::{Entry, Routing, Then, ToScheduler};
use super::putaway::retain;
use super::running::EngineError;
use super::schedule::{Outbox, apply_lanes, at_home};
use super::withdraw::{forget, overdue, withdraw};
use crate::dispatch::{Action, CrewSize, Input, Job, Scheduler, worker};
use crate::env::{Clock, ManualClock, OsFiles};
use crate::http::{Evidence, Failure, Response, Transport};
use crate::ingest::{Ingest, IngestSettings, LogReader, Producer};
use crate::model::{Outcome, Subscription, Timestamp};
use crate::store::{Ledger, Limits, Record, SledTrees, State, StateReader};
use crate::wire::{Bound, Dialects, RenderInput, Request};

/// When every run begins.
pub const START: Timestamp = Timestamp(1_773_309_600_000);

/// What the scripted receiver does with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    Refused,
    /// The whole request left, no answer came.
    Reset,
}

/// A request as the receiver saw it, or would have.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Timestamp,
    pub subscription: String,
    /// It was answered with a success.
    pub taken: bool,
    pub request: Request,
}

/// Chooses an answer for a subscription.
pub type Choose = Box<dyn FnMut(&str) -> Answer + Send>;

/// A receiver that answers from a list, then as it chooses, by default always 200.
pub struct Scripted {
    clock: Arc<ManualClock>,
    answers: Mutex<VecDeque<Answer>>,
    pub choose: Mutex<Option<Choose>>,
    pub seen: Mutex<Vec<Seen>>,
}

impl Transport for Scripted {
    type Endpoint = String;
    type Pending = Evidence;

    fn await_any(&self, pending: &mut [Evidence], _: Option<Duration>, found: &mut Vec<usize>) {
        found.extend(0..pending.len());
    }

    fn end(&self, _: &String, evidence: Evidence) -> Evidence {
        evidence
    }

    fn is_ready(&self, _: &String) -> bool {
        true
    }

    fn begin(&self, subscription: &String, request: &Request, _: Duration) -> Result<Evidence, Evidence> {
        Ok(self.answer(subscription, request))
    }
}

impl Scripted {
    fn answer(&self, subscription: &str, request: &Request) -> Evidence {
        let scripted = self.answers.lock().unwrap().pop_front();
        let answer = scripted.unwrap_or_else(|| match &mut *self.choose.lock().unwrap() {
            Some(choose) => choose(subscription),
            None => Answer::Status(200),
        });
        self.seen.lock().unwrap().push(Seen {
            at: self.clock.now(),
            subscription: subscription.to_owned(),
            taken: matches!(answer, Answer::Status(200..300)),
            request: request.clone(),
        });
        let bytes = request.body.len() as u64;
        let failed = |outcome, request_bytes| Evidence {
            result: Err(Failure { outcome, message: "scripted".into() }),
            request_bytes,
            remote: None,
            elapsed: Duration::ZERO,
        };
        let answered = |status, headers| Evidence {
            result: Ok(Response { status, headers, body: Vec::new() }),
            request_bytes: bytes,
            remote: None,
            elapsed: Duration::ZERO,
        };
        match answer {
            Answer::Status(status) => answered(status, Vec::new()),
            Answer::RetryAfter(status, value) => answered(status, vec![("Retry-After".into(), value.into())]),
            Answer::Refused => failed(Outcome::Refused, 0),
            Answer::Reset => failed(Outcome::Reset, bytes),
        }
    }
}

/// A subscription's dialect; its name stands for the endpoint.
pub struct Shape(Bound, String);

impl worker::Target for Shape {
    type Endpoint = String;

    fn render(&self, input: &RenderInput<'_>) -> Request {
        self.0.render(input)
    }

    fn endpoint(&self) -> &String {
        &self.1
    }
}

/// An engine under glass.
pub struct Stepped {
    pub clock: Arc<ManualClock>,
    pub receiver: Arc<Scripted>,
    subscriptions: Vec<Subscription>,
    root: PathBuf,
    producer: Producer,
    parts: Option<Parts>,
    /// Jobs are handed out but not sent: the world stops before the network.
    pub hold_sends: bool,
    pub limits: Limits,
}

struct Parts {
    ingest: Ingest,
    state: State,
    notices: Vec<String>,
    scheduler: Scheduler<Shape>,
    catchup: CatchUp,
    log: Arc<LogReader>,
    routing: Routing,
    outlets: Outlets<Shape>,
    inbox: Receiver<ToScheduler<Shape>>,
    jobs: Receiver<Job<Shape>>,
    wake_at: Option<Timestamp>,
}

impl Stepped {
    /// An engine over `root` (spool and state) with these subscriptions.
    pub fn start(root: &std::path::Path, subscriptions: Vec<Subscription>, answers: &[Answer]) -> Self {
        Self::start_at(root, subscriptions, answers, START, Limits::default()).unwrap()
    }

    /// As [`start`](Self::start), at any time and over a state that may not open.
    pub fn start_at(
        root: &std::path::Path,
        subscriptions: Vec<Subscription>,
        answers: &[Answer],
        now: Timestamp,
        limits: Limits,
    ) -> Result<Self, EngineError> {
        let clock = Arc::new(ManualClock::at(now));
        let receiver = Arc::new(Scripted {
            clock: clock.clone(),
            answers: Mutex::new(answers.iter().cloned().collect()),
            choose: Mutex::default(),
            seen: Mutex::default(),
        });
        let producer = Producer::new(Arc::new(OsFiles), &root.join("spool"), 1 << 20);
        let root = root.to_owned();
        let mut engine =
            Self { clock, receiver, subscriptions, root, producer, parts: None, hold_sends: false, limits };
        engine.parts = Some(engine.open()?);
        Ok(engine)
    }

    fn open(&self) -> Result<Parts, EngineError> {
        let now = self.clock.now();
        let files: Arc<dyn crate::env::Files> = Arc::new(OsFiles);
        let (state, opened) =
            State::open_unlocked(files.clone(), &SledTrees, self.limits, &self.root.join("state"), now)?;
        let dialects = Dialects::built_in();
        let wanted: Vec<_> = self
            .subscriptions
            .iter()
            .map(|subscription| {
                let bound = dialects.get(&subscription.dialect).unwrap().bind(subscription).unwrap();
                (Arc::new(subscription.clone()), Arc::new(Shape(bound, subscription.name.clone())))
            })
            .collect();
        let settings = IngestSettings { seed: 7, ..IngestSettings::new(self.root.join("spool")) };
        let Booted { state, ingest, log, scheduler, routing, notices, .. } =
            boot((state, &opened), settings, files, &wanted, CrewSize::of(64, 8), now)?;
        let (to_scheduler, inbox) = unbounded();
        let (to_workers, jobs) = unbounded();
        let outlets = Outlets {
            scheduler: to_scheduler,
            jobs: Box::new(move |job| to_workers.send(job).unwrap()),
            observe: Box::new(|_, _| ()),
            clock: self.clock.clone(),
        };
        let catchup = CatchUp::new(state.reader(), log.clone());
        let wake_at = Some(now);
        Ok(Parts { ingest, state, notices, scheduler, catchup, log, routing, outlets, inbox, jobs, wake_at })
    }

    /// Appends one event to the spool.
    pub fn produce(&self, line: &str) {
        self.producer.append("test", line.as_bytes(), false).unwrap();
    }

    fn parts(&mut self) -> &mut Parts {
        self.parts.as_mut().expect("the engine runs")
    }

    /// Runs until nothing more happens at this instant.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// One round of every part; whether anything happened.
    pub fn step(&mut self) -> bool {
        let now = self.clock.now();
        let (clock, receiver, hold) = (self.clock.clone(), self.receiver.clone(), self.hold_sends);
        let parts = self.parts();
        let mut happened = false;
        for batch in parts.ingest.tick(now).unwrap().batches {
            happened = true;
            let (records, feed) = accept(batch, &parts.routing);
            committer::commit(&mut parts.state, vec![Entry::new(records, Then::Feed(feed))], &parts.outlets).unwrap();
        }
        while let Ok(message) = parts.inbox.try_recv() {
            happened = true;
            match message {
                ToScheduler::Input(input) => parts.scheduler.take(input, now, u64::MAX / 2),
                ToScheduler::Lanes(commands) => apply_lanes(&mut parts.scheduler, commands, now),
                ToScheduler::Ask(_) | ToScheduler::Stop => {}
            }
        }
        if !hold {
            while let Ok(job) = parts.jobs.try_recv() {
                happened = true;
                let reports = RefCell::new(Vec::new());
                worker::run(job, &*receiver, &*clock, |report| reports.borrow_mut().push(report));
                for report in reports.into_inner() {
                    parts.scheduler.take(Input::Ran(report), now, u64::MAX / 2);
                }
            }
        }
        let (actions, wake_at) = parts.scheduler.run(now);
        parts.wake_at = wake_at;
        for action in actions {
            happened = true;
            match action {
                Action::Send(job) => (parts.outlets.jobs)(job),
                Action::Commit(records, job) => {
                    let then = job.map_or(Then::Nothing, |job| Then::Send(vec![job]));
                    let entry = Entry { commits: 1, ..Entry::new(records, then) };
                    committer::commit(&mut parts.state, vec![entry], &parts.outlets).unwrap();
                }
                Action::Pause { sub, reason, records } => {
                    committer::commit(&mut parts.state, vec![Outbox::pause(sub, reason, records)], &parts.outlets)
                        .unwrap();
                }
                Action::ReadLog { sub, from, upto, events_max, bytes_max } => {
                    let request = ReadRequest::Log { sub, from, upto, events_max, bytes_max };
                    let input = parts.catchup.answer(request).unwrap();
                    parts.scheduler.take(input, now, 0);
                }
                Action::ReadDue { sub, now, rows_max } => {
                    let input = parts.catchup.answer(ReadRequest::Due { sub, now, rows_max }).unwrap();
                    parts.scheduler.take(input, now, 0);
                }
            }
        }
        happened
    }

    /// Settles, then moves the clock to the next due time and settles again, until nothing is due any more.
    pub fn run_out(&mut self) {
        self.settle();
        while let Some(at) = self.parts().wake_at {
            let now = self.clock.now();
            self.clock.advance(at.since(now).max(Duration::from_millis(1)));
            self.settle();
        }
    }

    /// The process dies, and starts again with other subscriptions.
    pub fn crash_into(&mut self, subscriptions: Vec<Subscription>) {
        self.subscriptions = subscriptions;
        self.crash();
    }

    /// The process dies, something happens to its files, and it starts again.
    pub fn crash_while(&mut self, happens: impl FnOnce()) {
        self.parts = None;
        happens();
        self.parts = Some(self.open().unwrap());
    }

    /// The process dies here: nothing that was not durable is left. Then it starts again.
    pub fn crash(&mut self) {
        self.parts = None;
        self.parts = Some(self.open().unwrap());
    }

    pub fn ledger(&mut self) -> Ledger {
        self.parts().state.reader().ledger().clone()
    }

    /// What the start found missing or damaged.
    pub fn notices(&mut self) -> Vec<String> {
        self.parts().notices.clone()
    }

    /// The state, to look at and to write down.
    pub fn state(&mut self) -> &mut State {
        &mut self.parts().state
    }

    pub fn reader(&mut self) -> StateReader {
        self.parts().state.reader()
    }

    /// What an audit finds wrong.
    pub fn differences(&mut self) -> Vec<String> {
        let parts = self.parts();
        audit::offline(&parts.state.reader(), &parts.log).unwrap().differences
    }

    /// What the receiver saw so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.receiver.seen.lock().unwrap().clone()
    }

    /// What is done now and then: finished segments are put away, and what is kept for nobody ends.
    pub fn keep_house(&mut self, retention: Duration, history: Duration) {
        let now = self.clock.now();
        self.settle();
        let parts = self.parts();
        let reader = parts.state.reader();
        let settled_below = reader.ledger().settled_below();
        parts.ingest.set_retention(retention, u64::MAX);
        parts.ingest.retire(settled_below, now).unwrap();
        let mut records = retain(&mut parts.ingest, &reader, settled_below, now).unwrap();
        records.extend(withdraw(&reader, at_home(&parts.scheduler, overdue(&reader, retention, now)), now).unwrap().0);
        records.extend(forget(&reader, now.minus(history), now, |_| true).unwrap().0);
        committer::commit(&mut parts.state, vec![Entry::new(records, Then::Nothing)], &parts.outlets).unwrap();
        self.settle();
    }

    pub fn pause(&mut self, sub: crate::model::SubId) {
        let reason = "a test".to_owned();
        let record = Record::Paused { sub, reason: reason.clone(), at: self.clock.now() };
        let parts = self.parts();
        committer::commit(&mut parts.state, vec![Entry::new(vec![record], Then::Nothing)], &parts.outlets).unwrap();
        parts.scheduler.pause(sub, reason);
    }

    pub fn resume(&mut self, sub: crate::model::SubId) {
        self.parts().scheduler.resume(sub);
    }
}
