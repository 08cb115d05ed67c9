//! A running engine: what its threads share, whether it is idle, and how it stops.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::intake::IntakeStatus;
use super::messages::{Entry, LaneCommand, Reconfigure, Routing, Then, ToIntake, ToScheduler};
use super::pool::Pool;
use super::target::{Target, targets, transport};
use crate::admin::{Admin, LiveHub};
use crate::config::Config;
use crate::dispatch::{Job, Scheduler};
use crate::env::Clock;
use crate::http::UreqTransport;
use crate::ingest::LogReader;
use crate::model::Timestamp;
use crate::store::{Record, StateReader};

/// How long a stop waits for requests that are on their way.
const DRAIN: Duration = Duration::from_secs(10);
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
    #[error("{0}")]
    Setup(String),
    #[error("the engine stopped because durability is in doubt: {0}")]
    Doubt(String),
    #[error("start the thread \"{name}\": {source}")]
    Thread { name: &'static str, source: std::io::Error },
}

/// Why the engine ends.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A thread met something after which nothing may be believed.
    Doubt(String),
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
    /// Replaced when the network settings change.
    pub transport: RwLock<Arc<UreqTransport>>,
    pub state: StateReader,
    pub log: Arc<LogReader>,
    pub routing: Arc<Mutex<Routing>>,
    pub intake_status: Arc<Mutex<IntakeStatus>>,
    pub doubt: Mutex<Option<String>>,
    pub live: LiveHub,
    pub intake: Sender<ToIntake<Target>>,
    pub entries: Sender<Entry<Target>>,
    pub scheduler: Sender<ToScheduler<Target>>,
    /// One reload at a time.
    pub reloading: Mutex<()>,
    /// The last number given to a replay that is a delivery of its own.
    pub replays: Mutex<u32>,
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
        let transport = if config.network == self.config().network {
            self.transport()
        } else {
            Arc::new(transport(&config, self.clock.clone()).map_err(|error| error.to_string())?)
        };
        let subscriptions = targets(&config, &transport)?;
        let (reply, wait) = bounded(1);
        let request = Box::new(Reconfigure { subscriptions, retention: config.spool.retention, reply });
        self.intake.send(ToIntake::Reconfigure(request)).map_err(|_| "the engine has stopped".to_owned())?;
        wait.recv().map_err(|_| "the engine has stopped".to_owned())??;
        *self.transport.write().unwrap_or_else(PoisonError::into_inner) = transport;
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
        let clock = self.clock.clone();
        let drained = self.ask(move |scheduler| {
            let now = clock.now();
            scheduler.drained(now, now.plus(SOON))
        });
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
    pub stop_house: Sender<()>,
}

/// A running engine.
pub struct Engine {
    pub(super) shared: Arc<Shared>,
    pub(super) threads: Threads,
    pub(super) pool: Arc<Pool<Job<Target>>>,
    pub(super) admin: Option<Admin>,
    pub(super) stops: Receiver<Stop>,
    /// Kept while the engine runs, so that notifications go on.
    pub(super) _watch: Option<crate::ingest::Watch>,
}

impl Engine {
    /// Tells when a thread stopped in doubt.
    pub fn stops(&self) -> &Receiver<Stop> {
        &self.stops
    }

    /// Nothing is left to read, and nothing that could be sent within the next ten seconds: a retry that is due later
    /// is for another run.
    pub fn is_idle(&self) -> bool {
        self.shared.idle()
    }

    /// Loads the configuration again; see `Control::reload`.
    pub fn reload(&self) -> crate::admin::api::ReloadReport {
        super::control::reload(&self.shared)
    }

    /// Reads no more, lets what is on its way end (ten seconds at most), makes everything durable and stops.
    pub fn stop(self) -> Result<(), EngineError> {
        let Self { shared, threads, pool, admin, .. } = self;
        drop(admin);
        let _ = threads.stop_house.send(());
        let _ = threads.house.join();
        let _ = shared.intake.send(ToIntake::Stop);
        let _ = threads.intake.join();
        let _ = shared.scheduler.send(ToScheduler::Lanes(vec![LaneCommand::Drain]));
        let deadline = shared.clock.monotonic() + DRAIN;
        let busy = || lock(&shared.doubt).is_none() && shared.ask(|scheduler| !scheduler.is_quiet()).unwrap_or(false);
        let mut interrupted = false;
        while busy() {
            if shared.clock.monotonic() > deadline && !interrupted {
                shared.transport().shut_down();
                interrupted = true;
            } else if shared.clock.monotonic() > deadline + DRAIN {
                break;
            }
            let (_never, wait) = bounded::<()>(0);
            let _ = wait.recv_timeout(POLL);
        }
        let _ = shared.scheduler.send(ToScheduler::Stop);
        let _ = threads.scheduler.join();
        let _ = threads.catchup.join();
        let _ = shared.entries.send(Entry::new(Vec::new(), Then::Stop));
        let _ = threads.committer.join();
        if let Some(mut pool) = Arc::into_inner(pool) {
            pool.finish();
        }
        match lock(&shared.doubt).take() {
            None => Ok(()),
            Some(reason) => Err(EngineError::Doubt(reason)),
        }
    }
}
