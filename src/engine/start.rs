//! Starting: open the state, settle what a crash left, put the configuration in force, start the threads.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use crossbeam_channel::{Sender, bounded, unbounded};

use super::boot::{Booted, boot};
use super::catchup::CatchUp;
use super::committer::{self, Outlets};
use super::control::Panel;
use super::intake::{Intake, IntakeStatus, Links};
use super::messages::{Doubt, LaneCommand, ToScheduler};
use super::pool::Pool;
use super::running::{Engine, EngineError, Shared, Stop, Threads, lock};
use super::schedule::schedule;
use super::target::{Target, targets, transport};
use super::watch;
use crate::admin::{self, Listen, LiveHub};
use crate::config::Config;
use crate::dispatch::{Input, Job, worker};
use crate::env::{Clock, Files, OsFiles, SystemClock, ignore_lease_signal};
use crate::ingest::{IngestSettings, LogSettings, Watch};
use crate::store::State;

/// Messages between intake and committer: bounds what is read and not yet durable.
const ENTRIES_MAX: usize = 4096;
/// Attempts that a slow watcher may lag behind.
const LIVE_LINES: usize = 1024;

fn ingest_settings(config: &Config) -> IngestSettings {
    let mut settings = IngestSettings::new(&config.spool.dir);
    settings.max_line = usize::try_from(config.spool.max_line).unwrap_or(usize::MAX);
    settings.retention_age = config.spool.retention.age;
    settings.retention_size = config.spool.retention.size;
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

fn report(notices: &[String]) {
    for notice in notices {
        tracing::error!("{notice}");
    }
}

impl Engine {
    /// Starts an engine on the real machine. `config_path` is what a reload loads again.
    pub fn start(config: Config, config_path: Option<PathBuf>) -> Result<Self, EngineError> {
        ignore_lease_signal();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let files: Arc<dyn Files> = Arc::new(OsFiles);
        let now = clock.now();
        let transport = Arc::new(transport(&config, clock.clone())?);
        let wanted = targets(&config, &transport).map_err(EngineError::Setup)?;

        let (state, opened) = State::open(files.clone(), &config.state.dir, now)?;
        report(&opened.notices);
        let settings = ingest_settings(&config);
        let watched = settings.watched_dirs();
        let workers = config.delivery.workers as usize;
        let booted = boot((state, &opened), settings, files, &wanted, workers, now)?;
        let Booted { mut state, ingest, log, scheduler, routing, notices } = booted;
        report(&notices[opened.notices.len()..]);
        let reader = state.reader();
        let running: HashSet<_> = routing.subscriptions.keys().copied().collect();

        let (to_scheduler, scheduler_inbox) = unbounded();
        let (to_committer, entries) = bounded(ENTRIES_MAX);
        let (to_intake, intake_inbox) = unbounded();
        let (to_catchup, requests) = unbounded();
        let (wake, woken) = bounded(1);
        let (stop, stops) = unbounded();
        let watch = Watch::start(&watched, wake.clone());

        let shared = Arc::new(Shared {
            config_path,
            config: RwLock::new(Arc::new(config)),
            loaded_at: Mutex::new(now),
            started_at: now,
            notices,
            clock: clock.clone(),
            transport: RwLock::new(transport),
            state: reader.clone(),
            log: log.clone(),
            routing: Arc::new(Mutex::new(routing)),
            intake_status: Arc::new(Mutex::new(IntakeStatus::default())),
            doubt: Mutex::new(None),
            live: LiveHub::new(LIVE_LINES),
            intake: to_intake,
            entries: to_committer,
            scheduler: to_scheduler,
            reloading: Mutex::new(()),
            replays: Mutex::new(0),
            audits: Arc::default(),
        });
        // Before the first thread: a port in use must not stop an engine that is already sending.
        let config = shared.config();
        let listen = Listen { socket: Some(config.admin.socket.clone()), tcp: config.admin.listen };
        let admin = admin::start(&listen, Arc::new(Panel::new(shared.clone())), shared.live.clone())?;
        let guard = Guard { shared: shared.clone(), stop };

        let pool = {
            let shared = shared.clone();
            Arc::new(Pool::new(workers, move |job: Job<Target>| {
                let report = |ran| {
                    let _ = shared.scheduler.send(ToScheduler::Input(Input::Ran(ran)));
                };
                worker::run(job, &*shared.transport(), &*shared.clock, report);
            }))
        };
        let committer = guard.spawn("committer", {
            let outlets = Outlets {
                scheduler: shared.scheduler.clone(),
                jobs: {
                    let pool = pool.clone();
                    Box::new(move |job| pool.submit(job))
                },
                observe: super::control::observer(shared.clone()),
            };
            move || {
                while committer::step(&mut state, &entries, &outlets)? {}
                Ok(state.checkpoint()?)
            }
        })?;
        let scheduler = guard.spawn("scheduler", {
            let (pool, shared) = (pool.clone(), shared.clone());
            move || {
                schedule(scheduler, &scheduler_inbox, &shared, &pool, &to_catchup);
                Ok(())
            }
        })?;
        let catchup = guard.spawn("catch-up", {
            let (outcomes, mut catchup) = (shared.scheduler.clone(), CatchUp::new(reader.clone(), log.clone()));
            move || {
                for request in requests {
                    let _ = outcomes.send(ToScheduler::Input(catchup.answer(request)?));
                }
                Ok(())
            }
        })?;
        let intake = guard.spawn("intake", {
            let links = Links {
                clock: clock.clone(),
                routing: shared.routing.clone(),
                status: shared.intake_status.clone(),
                entries: shared.entries.clone(),
                wake: woken,
                waker: wake.clone(),
                requests: intake_inbox,
                audits: shared.audits.clone(),
            };
            let mut intake = Intake::new(ingest, reader, running, links);
            move || {
                while let Some(wait) = intake.step()? {
                    intake.wait(wait);
                }
                Ok(())
            }
        })?;
        let (stop_house, house_stop) = bounded(1);
        let house = guard.spawn("housekeeping", {
            let shared = shared.clone();
            move || watch::keep_house(&shared, &house_stop)
        })?;

        let threads = Threads { intake, committer, scheduler, catchup, house, stop_house };
        Ok(Self { shared, threads, pool, admin: Some(admin), stops, _watch: Some(watch) })
    }
}

/// Turns the end of a thread in doubt, or in a panic, into the end of the engine.
struct Guard {
    shared: Arc<Shared>,
    stop: Sender<Stop>,
}

impl Guard {
    fn spawn(
        &self,
        name: &'static str,
        body: impl FnOnce() -> Result<(), Doubt> + Send + 'static,
    ) -> Result<thread::JoinHandle<()>, EngineError> {
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        let run = move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            let doubt = match ended {
                Ok(Ok(())) => return,
                Ok(Err(Doubt(reason))) => reason,
                Err(_) => format!("the thread \"{name}\" panicked; this is a bug, please report it"),
            };
            tracing::error!(thread = name, reason = doubt, "the line stops: durability is in doubt");
            lock(&shared.doubt).get_or_insert(doubt.clone());
            let _ = shared.scheduler.send(ToScheduler::Lanes(vec![LaneCommand::Drain]));
            let _ = stop.send(Stop::Doubt(doubt));
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| EngineError::Thread { name, source })
    }
}
