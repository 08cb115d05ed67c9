//! The `engine` room, as `run` and `demo` see it.

use std::path::Path;

use crossbeam_channel::Receiver;

use super::super::error::{CliError, ExitKind};

/// An engine that runs on threads of its own, with its control plane. Dropping it without `stop` stops it too.
pub trait RunningEngine {
    /// One message when everything is drained: nothing left to read, no delivery pending, none due again. Only with
    /// `Launch::until_idle`.
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

/// Loads the configuration, takes the state's lock, builds the engine and opens its socket. When this returns, events
/// are taken in. An invalid configuration is `BadConfig` with the rendered diagnostics as message; a state or socket in
/// use, or unusable, is `Io` or `NotPermitted`.
pub fn start(launch: Launch<'_>) -> Result<Box<dyn RunningEngine>, CliError> {
    Err(CliError::new(ExitKind::Io, format!("cannot start with {}: no engine", launch.config.display())))
}
