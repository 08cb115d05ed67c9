//! A running engine: what its threads share, whether it is idle, and how it stops.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::desk::{Front, door_settings};
use super::doubt::Doubt;
use super::intake::IntakeStatus;
use super::messages::{Entry, LaneCommand, Reconfigure, Routing, Then, ToIntake, ToScheduler};
use super::pool::Pool;
use super::repeats::Repeats;
use super::replays::Book;
use super::room::Room;
use super::target::{Ready, Target, targets, transport, unchanged};
use super::watch::HouseOrder;
use super::watchdog::Pulses;
use crate::admin::{Door, LiveHub};
use crate::config::Config;
use crate::dispatch::{Job, Scheduler};
use crate::env::{Clock, SteadyTime};
use crate::http::UreqTransport;
use crate::ingest::LogReader;
use crate::metrics::Meters;
use crate::model::Timestamp;
use crate::store::{Record, StateReader};

/// How long a stop waits for requests that are on their way.
const DRAIN: Duration = Duration::from_secs(10);
/// Requests whose outcome nobody can record any more get this long before their connections are cut, and again to end.
const CUT_SHORT: Duration = Duration::from_secs(2);
/// A retry that is due within this time is waited for before the engine counts as idle.
const SOON: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// The engine does not start, or has stopped in doubt.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    State(#[from] crate::store::StateError),
    #[error(transparent)]
    Ingest(#[from] crate::ingest::IngestError),
    #[error(transparent)]
    Admin(#[from] crate::admin::AdminError),
    #[error(transparent)]
    Network(#[from] crate::http::NetworkError),
    #[error(transparent)]
    Webhooks(#[from] super::webhooks::WebhooksError),
    #[error(transparent)]
    Replays(#[from] super::replays::RecoverError),
    #[error("{0}")]
    Setup(String),
    #[error("{}", .0.reason)]
    Doubt(Doubt),
    #[error("start the thread \"{name}\": {source}")]
    Thread { name: &'static str, source: std::io::Error },
    #[error(
        "the thread \"{thread}\" has not moved for {seconds} s; if the disk is well, this is a bug, please report it"
    )]
    Stuck { thread: &'static str, seconds: u64 },
}

/// What the engine's threads and those who look at it share.
pub(super) struct Shared {
    pub config_path: Option<PathBuf>,
    pub config: RwLock<Arc<Config>>,
    pub loaded_at: Mutex<Timestamp>,
    pub started_at: Timestamp,
    /// What the start found damaged or missing.
    pub notices: Vec<String>,
    pub clock: Arc<dyn Clock>,
    /// The time by which retries are due.
    pub steady: Arc<Mutex<SteadyTime>>,
    /// The time by which history and archive age, and what waits for subscriptions that are gone.
    pub ages: Arc<Mutex<SteadyTime>>,
    /// Replaced when the network settings change.
    pub transport: RwLock<Arc<UreqTransport>>,
    pub state: StateReader,
    pub log: Arc<LogReader>,
    pub routing: Arc<Mutex<Routing>>,
    pub intake_status: Arc<Mutex<IntakeStatus>>,
    pub doubt: Mutex<Option<Doubt>>,
    pub pulses: Pulses,
    pub room: Room,
    pub live: LiveHub,
    pub door: Arc<Door>,
    pub meters: Arc<Meters>,
    pub repeats: Mutex<Repeats>,
    /// To count the workers; the pool itself holds what is here.
    pub pool: OnceLock<Weak<Pool<Job<Target>>>>,
    pub intake: Sender<ToIntake<Target>>,
    pub entries: Sender<Entry<Target>>,
    pub scheduler: Sender<ToScheduler<Target>>,
    /// One change of the configuration at a time: a reload, or a webhook over the API.
    pub reloading: Mutex<()>,
    /// The subscriptions in force, ready to send.
    pub ready: Mutex<Ready>,
    /// The last number given to a replay that is a delivery of its own.
    pub replays: Mutex<u32>,
    /// Replays of many deliveries.
    pub jobs: Book,
    /// Held by an audit: retention removes nothing meanwhile.
    pub audits: Arc<RwLock<()>>,
}

pub(super) fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn transport(&self) -> Arc<UreqTransport> {
        self.transport.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time as the schedules see it; it takes no part in steps of the wall clock.
    pub fn schedule_now(&self) -> Timestamp {
        lock(&self.steady).at(self.clock.now(), self.clock.monotonic())
    }

    /// The time by which things age; it takes no part in steps of the wall clock either.
    pub fn ages_now(&self) -> Timestamp {
        lock(&self.ages).at(self.clock.now(), self.clock.monotonic())
    }

    /// Asks the scheduler thread for a value; `None` when it has stopped.
    pub fn ask<V: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Scheduler<Target>) -> V + Send + 'static,
    ) -> Option<V> {
        let (answer, wait) = bounded(1);
        let ask = ToScheduler::Ask(Box::new(move |scheduler| {
            let _ = answer.send(question(scheduler));
        }));
        self.scheduler.send(ask).ok()?;
        wait.recv().ok()
    }

    /// Makes records durable and waits for it.
    pub fn commit(&self, records: Vec<Record>, then: Then<Target>) -> Result<(), String> {
        let (reply, wait) = bounded(1);
        let entry = Entry { reply: Some(reply), ..Entry::new(records, then) };
        self.entries.send(entry).map_err(|_| "the engine has stopped".to_owned())?;
        wait.recv().map_err(|_| "the engine has stopped".to_owned())?
    }

    /// Puts another set of subscriptions in force, between two events.
    pub fn apply(&self, config: Config) -> Result<(), String> {
        let is_same = config.network == self.config().network;
        let transport = if is_same {
            self.transport()
        } else {
            Arc::new(transport(&config, self.clock.clone()).map_err(|error| error.to_string())?)
        };
        // What did not change goes on with its connections and tokens.
        let kept = if is_same { unchanged(&lock(&self.ready), &self.config(), &config) } else { HashMap::new() };
        let subscriptions = targets(&config, &transport, &kept)?;
        let ready = subscriptions.clone();
        let (reply, wait) = bounded(1);
        let request = Box::new(Reconfigure { subscriptions, retention: config.spool.retention, reply });
        self.intake.send(ToIntake::Reconfigure(request)).map_err(|_| "the engine has stopped".to_owned())?;
        wait.recv().map_err(|_| "the engine has stopped".to_owned())??;
        *lock(&self.ready) = ready;
        *self.transport.write().unwrap_or_else(PoisonError::into_inner) = transport;
        self.door.set(door_settings(&config));
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        *lock(&self.loaded_at) = self.clock.now();
        Ok(())
    }

    /// Everything that is in the spool has been read, and nothing is left that could be sent now or soon.
    pub fn idle(&self) -> bool {
        let before = lock(&self.intake_status).clone();
        if !before.idle || self.commit(Vec::new(), Then::Nothing).is_err() {
            return false;
        }
        let now = self.schedule_now();
        let drained = self.ask(move |scheduler| scheduler.drained(now, now.plus(SOON)));
        let drained = drained.unwrap_or(false);
        let after = lock(&self.intake_status);
        drained && after.idle && after.batches == before.batches
    }
}

/// The threads of an engine.
pub(super) struct Threads {
    pub intake: JoinHandle<()>,
    pub committer: JoinHandle<()>,
    pub scheduler: JoinHandle<()>,
    pub catchup: JoinHandle<()>,
    pub house: JoinHandle<()>,
    pub replays: JoinHandle<()>,
    pub house_orders: Sender<HouseOrder>,
}

/// What runs behind the desk.
pub(super) struct Parts {
    pub shared: Arc<Shared>,
    pub threads: Threads,
    pub pool: Arc<Pool<Job<Target>>>,
    pub stops: Receiver<Doubt>,
    /// Kept while the engine runs, so that notifications go on.
    pub _watch: crate::ingest::Watch,
}

/// A running engine.
pub struct Engine {
    pub(super) parts: Parts,
    pub(super) front: Front,
}

impl Engine {
    /// Tells when a thread met something after which nothing may be believed.
    pub fn stops(&self) -> &Receiver<Doubt> {
        &self.parts.stops
    }

    /// Nothing is left to read, and nothing that could be sent within the next ten seconds: a retry that is due later
    /// is for another run.
    pub fn is_idle(&self) -> bool {
        self.parts.shared.idle()
    }

    /// The address that the control plane listens on, other than its socket.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.front.tcp_address()
    }

    /// Has the configuration loaded again; the result is logged. One request that waits stands for more.
    pub fn reload(&self) {
        let _ = self.parts.threads.house_orders.try_send(HouseOrder::Reload);
    }

    /// Reads no more, lets what is on its way end (ten seconds at most), makes everything durable and stops.
    pub fn stop(self) -> Result<(), EngineError> {
        let Self { parts, front } = self;
        drop(front);
        match parts.end().1 {
            None => Ok(()),
            Some(doubt) => Err(EngineError::Doubt(doubt)),
        }
    }
}

fn poll() {
    let (_never, wait) = bounded::<()>(0);
    let _ = wait.recv_timeout(POLL);
}

impl Parts {
    /// Ends every thread, sooner or later in that order: who reads, who sends, who records. What is on its way is waited
    /// for as long as its outcome can still be recorded. Returns what the threads shared, and why they were in doubt.
    pub fn end(self) -> (Arc<Shared>, Option<Doubt>) {
        let Self { shared, threads, pool, .. } = self;
        let _ = threads.house_orders.send(HouseOrder::Stop);
        let _ = threads.house.join();
        shared.jobs.stop();
        let _ = threads.replays.join();
        let _ = shared.intake.send(ToIntake::Stop);
        let _ = threads.intake.join();
        let _ = shared.scheduler.send(ToScheduler::Lanes(vec![LaneCommand::Drain]));
        let deadline = shared.clock.monotonic() + DRAIN;
        let records = || !threads.committer.is_finished() && !threads.scheduler.is_finished();
        let busy = || records() && shared.ask(|scheduler| !scheduler.is_quiet()).unwrap_or(false);
        let mut interrupted = false;
        while busy() {
            if shared.clock.monotonic() > deadline && !interrupted {
                shared.transport().shut_down();
                interrupted = true;
            } else if shared.clock.monotonic() > deadline + DRAIN {
                break;
            }
            poll();
        }
        let _ = shared.scheduler.send(ToScheduler::Stop);
        let _ = threads.scheduler.join();
        let _ = threads.catchup.join();
        let _ = shared.entries.send(Entry::new(Vec::new(), Then::Stop));
        let _ = threads.committer.join();
        pool.close();
        let deadline = shared.clock.monotonic() + CUT_SHORT;
        while !pool.has_ended() && shared.clock.monotonic() < deadline + CUT_SHORT {
            if shared.clock.monotonic() > deadline {
                shared.transport().shut_down();
            }
            poll();
        }
        let doubt = lock(&shared.doubt).clone();
        (shared, doubt)
    }
}
