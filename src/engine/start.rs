//! Starting: open the state, settle what a crash left, put the configuration in force, start the threads.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::thread;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded, unbounded};

use super::boot::{Booted, boot};
use super::catchup::CatchUp;
use super::committer::{self, Outlets};
use super::desk::Front;
use super::doubt::Doubt;
use super::intake::{Intake, IntakeStatus, Links};
use super::messages::{LaneCommand, ToScheduler};
use super::pool::Pool;
use super::receipts::Receipts;
use super::replays::{self, Book, JobFiles, feed_jobs};
use super::room::Room;
use super::running::{Engine, EngineError, Parts, Shared, Threads, lock};
use super::schedule::{at_home, schedule};
use super::target::{Target, targets, transport};
use super::watch;
use super::watchdog::{BEAT, Pulses, Who};
use super::webhooks::{with_webhooks, withheld};
use crate::config::Config;
use crate::dispatch::{CrewSize, Input, Job, worker};
use crate::env::{Clock, Files, OsFiles, SteadyTime, SystemClock, ignore_lease_signal};
use crate::ingest::{IngestSettings, LogSettings, Watch};
use crate::model::SubId;
use crate::store::State;

/// Messages between intake and committer: bounds what is read and not yet durable.
const ENTRIES_MAX: usize = 4096;

fn ingest_settings(config: &Config) -> IngestSettings {
    let mut settings = IngestSettings::new(&config.spool.dir);
    settings.max_line = usize::try_from(config.spool.max_line).unwrap_or(usize::MAX);
    settings.retention_age = config.spool.retention.age;
    settings.retention_size = config.spool.retention.size;
    settings.reserve = config.state.reserve;
    settings.beside = vec![config.state.dir.clone()];
    settings.logs = config
        .logs
        .iter()
        .map(|log| LogSettings {
            // Cursors are kept under this name: it must not depend on the directory the engine is started from.
            name: std::path::absolute(&log.dir)
                .unwrap_or_else(|_| log.dir.clone())
                .join(&log.pattern)
                .to_string_lossy()
                .into_owned(),
            dir: log.dir.clone(),
            pattern: log.pattern.clone(),
        })
        .collect();
    settings
}

fn report(notices: &[String], is_expected: bool) {
    for notice in notices {
        match is_expected {
            true => tracing::warn!("{notice}"),
            false => tracing::error!("{notice}"),
        }
    }
}

/// Threads of our own and of the libraries beneath us that a start needs.
const THREADS: usize = 16;

/// Starts threads and ends them again. Some of the libraries wait for ever, or panic, when they cannot have theirs.
fn try_threads() -> Result<(), EngineError> {
    let (hold, held) = bounded::<()>(0);
    let start = |_| {
        let held = held.clone();
        let wait = move || {
            let _ = held.recv();
        };
        thread::Builder::new().spawn(wait).map_err(|source| EngineError::Thread { name: "trial", source })
    };
    let threads: Result<Vec<_>, _> = (0..THREADS).map(start).collect();
    drop(hold);
    threads?.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

impl Engine {
    /// Starts an engine on the real machine. `config_path` is what a reload loads again.
    pub fn start(config: Config, config_path: Option<PathBuf>) -> Result<Self, EngineError> {
        let mut front = Front::new();
        let parts = Parts::start(config, config_path, &mut front)?;
        Ok(Self { parts, front })
    }
}

impl Parts {
    /// Builds an engine from what is on disk and puts it behind `front`.
    pub fn start(config: Config, config_path: Option<PathBuf>, front: &mut Front) -> Result<Self, EngineError> {
        ignore_lease_signal();
        try_threads()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let files: Arc<dyn Files> = Arc::new(OsFiles);
        let now = clock.now();
        let config = with_webhooks(config, &*files, now)?;
        if let Some(withheld) = withheld(&config) {
            tracing::error!("{withheld}");
        }
        let transport = Arc::new(transport(&config, clock.clone())?);
        let wanted = targets(&config, &transport, &HashMap::new()).map_err(EngineError::Setup)?;

        let (state, opened) = State::open(files.clone(), &config.state.dir, now)?;
        report(&opened.notices, opened.is_restored);
        let job_files = JobFiles::new(files.clone(), &config.state.dir);
        if opened.forgot_claims() {
            replays::leave_doubtful(&job_files, &state.reader(), &wanted)?;
        }
        let settings = ingest_settings(&config);
        let watched = settings.watched_dirs();
        // A connection is a file, and there may be some for each worker.
        if let Err(error) = crate::env::raise_open_files() {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let crew = CrewSize::of(config.delivery.workers as usize, processors);
        let booted = boot((state, &opened), settings, files, &wanted, crew, now)?;
        let Booted { mut state, ingest, log, scheduler, routing, notices, begins } = booted;
        report(&notices[opened.notices.len()..], false);
        // Before anything of the spool is removed: what became of a write that a crash cut off is told by its file.
        let written = |stem: &str| log.has_file(stem);
        let receipts = || Receipts::open(state.reader().files, &config.state.dir, &written, now);
        front.desk.take_receipts(receipts).map_err(EngineError::Setup)?;
        let reader = state.reader();
        let running: HashSet<_> = routing.subscriptions.keys().copied().collect();

        let (to_scheduler, scheduler_inbox) = unbounded();
        let (to_committer, entries) = bounded(ENTRIES_MAX);
        let (to_intake, intake_inbox) = unbounded();
        let (to_catchup, requests) = unbounded();
        let (wake, woken) = bounded(1);
        let (stop, stops) = unbounded();
        let watch = Watch::start(&watched, wake.clone());

        let steady = SteadyTime::starting(begins, now, clock.monotonic());
        // What ages goes by a clock of its own: `begins` may lie ahead of the wall clock's time.
        let ages = Arc::new(Mutex::new(SteadyTime::starting(now, now, clock.monotonic())));
        let door = front.door(&config, reader.files.clone(), clock.clone())?;
        let room = Room::new(reader.files.clone(), &config);
        let jobs = replays::load(&job_files, &reader)?;
        let jobs = Book::new(job_files, jobs, reader.ledger().lsn);
        let shared = Arc::new(Shared {
            config_path,
            config: RwLock::new(Arc::new(config)),
            loaded_at: Mutex::new(now),
            started_at: now,
            notices,
            clock: clock.clone(),
            steady: Arc::new(Mutex::new(steady)),
            ages: ages.clone(),
            transport: RwLock::new(transport),
            state: reader.clone(),
            log: log.clone(),
            routing: Arc::new(Mutex::new(routing)),
            intake_status: Arc::new(Mutex::new(IntakeStatus::default())),
            doubt: Mutex::new(None),
            pulses: Pulses::default(),
            room,
            live: front.live.clone(),
            door: door.clone(),
            meters: front.meters.clone(),
            repeats: Mutex::default(),
            pool: OnceLock::new(),
            intake: to_intake,
            entries: to_committer,
            scheduler: to_scheduler,
            reloading: Mutex::new(()),
            ready: Mutex::new(wanted),
            replays: Mutex::new(0),
            jobs,
            audits: Arc::default(),
        });
        // Before the first thread: a port in use must not stop an engine that is already sending.
        front.listen(&shared.config(), door)?;
        shared.room.hold();
        let guard = Guard { shared: shared.clone(), stop };

        let pool = {
            let (shared, guard) = (shared.clone(), guard.clone());
            Arc::new(Pool::new(crew.all, move |job: Job<Target>| {
                let report = |ran| {
                    let _ = shared.scheduler.send(ToScheduler::Input(Input::Ran(ran)));
                };
                let run = || {
                    #[cfg(debug_assertions)]
                    super::failpoint::reached("worker");
                    worker::run(job, &*shared.transport(), &*shared.clock, report)
                };
                // An attempt catches its own panics; beyond it nobody knows what became of the job.
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err() {
                    guard.panicked("worker");
                }
            }))
        };
        let _ = shared.pool.set(Arc::downgrade(&pool));
        let committer = guard.spawn(Who::Committer, {
            let outlets = Outlets {
                scheduler: shared.scheduler.clone(),
                jobs: {
                    let pool = pool.clone();
                    Box::new(move |job| pool.submit(job))
                },
                observe: super::control::observer(shared.clone()),
                clock: clock.clone(),
            };
            let shared = shared.clone();
            move || {
                while committer::step(&mut state, &entries, &outlets)? {
                    shared.pulses.beat(Who::Committer);
                }
                committer::conclude(&mut state)
            }
        })?;
        let scheduler = guard.spawn(Who::Scheduler, {
            let (pool, shared) = (pool.clone(), shared.clone());
            move || {
                schedule(scheduler, &scheduler_inbox, &shared, &pool, &to_catchup);
                Ok(())
            }
        })?;
        let catchup = guard.spawn(Who::CatchUp, {
            let (outcomes, mut catchup) = (shared.scheduler.clone(), CatchUp::new(reader.clone(), log.clone()));
            let shared = shared.clone();
            move || {
                loop {
                    shared.pulses.beat(Who::CatchUp);
                    match requests.recv_timeout(BEAT) {
                        Ok(request) => drop(outcomes.send(ToScheduler::Input(catchup.answer(request)?))),
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    }
                }
            }
        })?;
        let intake = guard.spawn(Who::Intake, {
            let links = Links {
                clock: clock.clone(),
                ages,
                routing: shared.routing.clone(),
                status: shared.intake_status.clone(),
                entries: shared.entries.clone(),
                wake: woken,
                waker: wake.clone(),
                requests: intake_inbox,
                at_home: {
                    let shared = shared.clone();
                    Box::new(move |subs: Vec<SubId>| {
                        if subs.is_empty() {
                            return subs;
                        }
                        shared.ask(|scheduler| at_home(scheduler, subs)).unwrap_or_default()
                    })
                },
                beat: {
                    let shared = shared.clone();
                    Box::new(move || shared.pulses.beat(Who::Intake))
                },
                hold_room: {
                    let shared = shared.clone();
                    Box::new(move || shared.room.hold())
                },
                audits: shared.audits.clone(),
            };
            let mut intake = Intake::new(ingest, reader, running, links);
            let shared = shared.clone();
            move || {
                while let Some(wait) = intake.step()? {
                    shared.pulses.beat(Who::Intake);
                    intake.wait(wait);
                }
                Ok(())
            }
        })?;
        let (house_orders, orders) = bounded(1);
        let house = guard.spawn(Who::Housekeeping, {
            let shared = shared.clone();
            move || watch::keep_house(&shared, &orders)
        })?;

        let replays = guard.spawn(Who::Replays, {
            let shared = shared.clone();
            move || feed_jobs(&shared)
        })?;

        let threads = Threads { intake, committer, scheduler, catchup, house, replays, house_orders };
        front.desk.open(shared.clone());
        Ok(Self { shared, threads, pool, stops, _watch: watch })
    }
}

/// Turns the end of a thread in doubt, or in a panic, into the end of the engine.
#[derive(Clone)]
struct Guard {
    shared: Arc<Shared>,
    stop: Sender<Doubt>,
}

impl Guard {
    fn spawn(
        &self,
        who: Who,
        body: impl FnOnce() -> Result<(), Doubt> + Send + 'static,
    ) -> Result<thread::JoinHandle<()>, EngineError> {
        let (guard, name) = (self.clone(), who.name());
        let run = move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(doubt)) => guard.doubt(name, doubt),
                Err(_) => guard.panicked(name),
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| EngineError::Thread { name, source })
    }

    fn panicked(&self, name: &'static str) {
        self.doubt(name, Doubt::bug(format!("the thread \"{name}\" panicked; this is a bug, please report it")));
    }

    fn doubt(&self, thread: &'static str, doubt: Doubt) {
        self.shared.meters.lock().totals.state_error(thread);
        tracing::error!(thread, reason = doubt.reason, "the line stops: durability is in doubt");
        let first = lock(&self.shared.doubt).get_or_insert(doubt).clone();
        let _ = self.shared.scheduler.send(ToScheduler::Lanes(vec![LaneCommand::Drain]));
        let _ = self.stop.send(first);
    }
}
