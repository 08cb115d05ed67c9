//! The `engine` room, as `run` and `demo` see it.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, never, select, tick};

use super::super::error::{CliError, ExitKind};
use crate::config;
use crate::engine::{Engine, EngineError, Stop};
use crate::store::StateError;

/// An engine that runs on threads of its own, with its control plane.
pub trait RunningEngine {
    /// One message when everything is drained: nothing left to read, and nothing to send or to retry within the next ten
    /// seconds. Only with `Launch::until_idle`.
    fn idle(&self) -> &Receiver<()>;

    /// One message when the engine ended by itself: a sentence that says why.
    fn ended(&self) -> &Receiver<String>;

    /// Loads the configuration again, as `POST /v1/config/reload` does; the result is logged.
    fn reload(&self);

    /// Stops taking and sending, waits for what is in flight (bounded by the engine), records it, ends every thread.
    fn stop(self: Box<Self>) -> Result<(), CliError>;
}

/// How to start it.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    pub config: &'a Path,
    pub until_idle: bool,
}

/// How often `--until-idle` looks.
const LOOK: Duration = Duration::from_millis(50);
/// Looks in a row that must find everything drained.
const LOOKS: u32 = 3;

fn refusal(error: EngineError) -> CliError {
    let kind = match &error {
        EngineError::Setup(_) | EngineError::Network(_) => ExitKind::BadConfig,
        EngineError::State(StateError::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            ExitKind::NotPermitted
        }
        _ => ExitKind::Io,
    };
    CliError::new(kind, error.to_string())
}

/// The real engine, watched by one thread that passes its end and its idleness on.
struct Running {
    engine: Arc<Engine>,
    idle: Receiver<()>,
    ended: Receiver<String>,
    watch: JoinHandle<()>,
    stop_watch: Sender<()>,
}

fn watch(engine: &Engine, until_idle: bool, stop: &Receiver<()>, idle: &Sender<()>, ended: &Sender<String>) {
    let looks = if until_idle { tick(LOOK) } else { never() };
    let mut drained = 0;
    loop {
        select! {
            recv(stop) -> _ => return,
            recv(engine.stops()) -> reason => {
                if let Ok(Stop::Doubt(reason)) = reason {
                    let _ = ended.send(reason);
                }
                return;
            }
            recv(looks) -> _ => {
                drained = if engine.is_idle() { drained + 1 } else { 0 };
                if drained >= LOOKS {
                    let _ = idle.send(());
                    return;
                }
            }
        }
    }
}

impl RunningEngine for Running {
    fn idle(&self) -> &Receiver<()> {
        &self.idle
    }

    fn ended(&self) -> &Receiver<String> {
        &self.ended
    }

    fn reload(&self) {
        let report = self.engine.reload();
        if report.applied {
            tracing::info!("{}", report.message);
        } else {
            tracing::error!("{}\n{}", report.message, report.problems_text);
        }
    }

    fn stop(self: Box<Self>) -> Result<(), CliError> {
        let Self { engine, watch, stop_watch, .. } = *self;
        drop(stop_watch);
        let _ = watch.join();
        let engine = Arc::into_inner(engine).expect("the watching thread has ended");
        engine.stop().map_err(refusal)
    }
}

/// Loads the configuration, takes the state's lock, builds the engine and opens its socket. When this returns, events
/// are taken in. An invalid configuration is `BadConfig` with the rendered diagnostics as message; a state or socket in
/// use, or unusable, is `Io` or `NotPermitted`.
pub fn start(launch: Launch<'_>) -> Result<Box<dyn RunningEngine>, CliError> {
    let loaded = config::load(launch.config).map_err(|problems| {
        CliError::new(ExitKind::BadConfig, format!("the configuration is not valid\n{problems}"))
    })?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let (spool, socket) = (loaded.config.spool.dir.clone(), loaded.config.admin.socket.clone());
    let subscriptions = loaded.config.subscriptions.len();
    let engine = Arc::new(Engine::start(loaded.config, Some(launch.config.to_owned())).map_err(refusal)?);
    let (config, spool, socket) = (launch.config.display(), spool.display(), socket.display());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, %spool, %socket, subscriptions, "running");
    let ((idle_sender, idle), (ended_sender, ended), (stop_watch, stopped)) = (bounded(1), bounded(1), bounded(0));
    let watched = engine.clone();
    let until_idle = launch.until_idle;
    let watch = thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || watch(&watched, until_idle, &stopped, &idle_sender, &ended_sender))
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot start a thread: {error}")))?;
    Ok(Box::new(Running { engine, idle, ended, watch, stop_watch }))
}
