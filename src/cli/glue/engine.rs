//! The `engine` room, as `run` and `demo` see it.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select, unbounded};

use super::super::error::{CliError, ExitKind};
use crate::admin::Signal;
use crate::config;
use crate::engine::{Cause, EngineError, Order, Supervisor, WebhooksError};
use crate::store::StateError;

/// Two requests to stop that come this close together are one.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// An engine that runs on threads of its own, with its control plane.
pub trait RunningEngine {
    /// Where the API is reached over TCP.
    fn address(&self) -> Option<SocketAddr>;

    /// One message when everything is drained: nothing left to read, and nothing to send or to retry within the next ten
    /// seconds. Only with `Launch::until_idle`.
    fn idle(&self) -> &Receiver<()>;

    /// One message when the engine ended by itself, and why.
    fn ended(&self) -> &Receiver<CliError>;

    /// Loads the configuration again, as `POST /v1/config/reload` does; the result is logged.
    fn reload(&self);

    /// Stops taking and sending, waits for what is in flight (bounded by the engine), records it, ends every thread.
    /// A further signal ends the wait.
    fn stop(self: Box<Self>, signals: &Receiver<Signal>) -> Result<(), CliError>;
}

/// How to start it.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    pub config: &'a Path,
    pub until_idle: bool,
}

fn refusal(error: EngineError) -> CliError {
    let kind = match &error {
        EngineError::Setup(_) | EngineError::Network(_) | EngineError::Webhooks(WebhooksError::Damaged(_)) => {
            ExitKind::BadConfig
        }
        EngineError::State(StateError::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            ExitKind::NotPermitted
        }
        EngineError::Stuck { .. } => ExitKind::Internal,
        EngineError::Doubt(doubt) if doubt.cause == Cause::Bug => ExitKind::Internal,
        _ => ExitKind::Io,
    };
    let is_doubt = matches!(error, EngineError::Doubt(_) | EngineError::Stuck { .. });
    if !is_doubt {
        return CliError::new(kind, error.to_string());
    }
    CliError::new(kind, format!("the engine ended, because durability is in doubt: {error}"))
        .help("nothing is lost: once the cause is gone, a start goes on from what is on disk")
        .help("a service manager should start it again (Restart=on-failure); then look at: spoolhook audit")
}

/// The real engine, in the care of one thread.
struct Running {
    address: Option<SocketAddr>,
    orders: Sender<Order>,
    idle: Receiver<()>,
    ended: Receiver<CliError>,
    supervisor: JoinHandle<Result<(), CliError>>,
}

impl RunningEngine for Running {
    fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn idle(&self) -> &Receiver<()> {
        &self.idle
    }

    fn ended(&self) -> &Receiver<CliError> {
        &self.ended
    }

    fn reload(&self) {
        let _ = self.orders.send(Order::Reload);
    }

    fn stop(self: Box<Self>, signals: &Receiver<Signal>) -> Result<(), CliError> {
        let _ = self.orders.send(Order::Stop);
        // `timeout` and terminals signal a process and then its group: that is one request.
        let mut at_once = after(SAME_REQUEST);
        let mut is_same = true;
        loop {
            select! {
                recv(at_once) -> _ => {
                    is_same = false;
                    at_once = never();
                }
                // It has one message, or none and is gone, once the thread ends.
                recv(self.ended) -> _ => break,
                recv(signals) -> signal => match signal {
                    Ok(Signal::Hangup) => {}
                    Ok(Signal::Interrupt | Signal::Terminate) if is_same => {}
                    Ok(Signal::Interrupt | Signal::Terminate) => {
                        tracing::warn!("asked twice to stop: requests on their way are cut off");
                        return Err(CliError::silent(ExitKind::Interrupted));
                    }
                    Err(_) => break,
                },
            }
        }
        let gone = |_| CliError::new(ExitKind::Internal, "the thread that runs the engine panicked; please report it");
        self.supervisor.join().map_err(gone).flatten()
    }
}

/// Loads the configuration, takes the state's lock, builds the engine and opens its socket. When this returns, events
/// are taken in; `None` when a signal asked to stop before. An invalid configuration is `BadConfig` with the rendered
/// diagnostics as message; a state or socket in use, or unusable, is `Io` or `NotPermitted`.
pub fn start(launch: Launch<'_>, signals: &Receiver<Signal>) -> Result<Option<Box<dyn RunningEngine>>, CliError> {
    let loaded = config::load(launch.config).map_err(|problems| {
        CliError::new(ExitKind::BadConfig, format!("the configuration is not valid\n{problems}"))
    })?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let (spool, socket) = (loaded.config.spool.dir.clone(), loaded.config.admin.socket.clone());
    let subscriptions = loaded.config.subscriptions.len();
    let (orders, ordered) = unbounded();
    let ((idle_sender, idle), (ended_sender, ended), (started, start)) = (bounded(1), bounded(1), bounded(1));
    let (path, until_idle) = (launch.config.to_owned(), launch.until_idle);
    let supervisor = thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let supervisor = match Supervisor::start(loaded.config, Some(path), ordered) {
                Ok(Some(supervisor)) => supervisor,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let _ = started.send(Err(refusal(error)));
                    return Ok(());
                }
            };
            let _ = started.send(Ok(supervisor.tcp_address()));
            let end = supervisor.run(until_idle.then_some(&idle_sender)).map_err(refusal);
            if let Err(error) = &end {
                let _ = ended_sender.send(error.clone());
            }
            end
        })
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot start a thread: {error}")))?;
    let address = loop {
        select! {
            recv(start) -> result => match result {
                Ok(Ok(address)) => break address,
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(CliError::new(ExitKind::Internal, "the engine panicked while it started")),
            },
            // Nothing was sent yet, and whatever is half done is settled by the next start.
            recv(signals) -> signal => match signal {
                Ok(Signal::Hangup) => {}
                Ok(Signal::Interrupt) => return Err(CliError::silent(ExitKind::Interrupted)),
                Ok(Signal::Terminate) | Err(_) => return Ok(None),
            },
        }
    };
    let (config, spool, socket) = (launch.config.display(), spool.display(), socket.display());
    let api = address.map(|address| address.to_string());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, %spool, %socket, api, subscriptions, "running");
    Ok(Some(Box::new(Running { address, orders, idle, ended, supervisor })))
}
