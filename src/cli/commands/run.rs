//! `run`: the engine, until somebody stops it or it is done.

use crossbeam_channel::{Receiver, never, select};

use super::super::context::Context;
use super::super::error::{CliError, ExitKind, reason};
use super::super::glue::engine::{self, Launch, RunningEngine};
use super::super::{logging, places};
use crate::admin::{Signal, watch_signals};

/// Run the engine
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook run                                 with ./config.toml, until stopped
  spoolhook run -c /etc/spoolhook/config.toml   as a service; SIGHUP loads the configuration again
  spoolhook run --until-idle                    deliver what is there, then end with 0

Ends with 74 when the disk fails and with 70 after a fault of its own: start it again. A full disk it waits out.
SIGTERM stops it once answers are in (10 s at most), a second one at once.")]
pub struct Args {
    /// End with 0 once nothing is left to read, nor to send or to retry within the next ten seconds
    #[arg(long)]
    until_idle: bool,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    logging::start(&context.global);
    let config = places::config_file(&context.global)?;
    let signals = watch_signals()
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot watch for signals: {}", reason(&error))))?;
    match engine::start(Launch { config: &config, until_idle: args.until_idle }, &signals)? {
        Some(engine) => supervise(engine, &signals, args.until_idle),
        None => Ok(()),
    }
}

/// Waits for the first reason to end.
fn supervise(engine: Box<dyn RunningEngine>, signals: &Receiver<Signal>, until_idle: bool) -> Result<(), CliError> {
    let idle = if until_idle { engine.idle().clone() } else { never() };
    let ended = engine.ended().clone();
    let end = loop {
        select! {
            recv(signals) -> signal => match signal {
                Ok(Signal::Hangup) => engine.reload(),
                Ok(Signal::Interrupt) => break Err(CliError::silent(ExitKind::Interrupted)),
                Ok(Signal::Terminate) | Err(_) => break Ok(()),
            },
            recv(idle) -> _ => break Ok(()),
            recv(ended) -> why => {
                let gone = || CliError::new(ExitKind::Internal, "the thread that runs the engine is gone");
                return Err(why.unwrap_or_else(|_| gone()));
            }
        }
    };
    engine.stop(signals).and(end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use crossbeam_channel::{Sender, unbounded};

    use super::*;

    struct Fake {
        idle: Receiver<()>,
        ended: Receiver<CliError>,
        reloads: Arc<AtomicU32>,
    }

    impl RunningEngine for Fake {
        fn address(&self) -> Option<std::net::SocketAddr> {
            None
        }

        fn idle(&self) -> &Receiver<()> {
            &self.idle
        }

        fn ended(&self) -> &Receiver<CliError> {
            &self.ended
        }

        fn reload(&self) {
            self.reloads.fetch_add(1, Ordering::SeqCst);
        }

        fn stop(self: Box<Self>, _: &Receiver<Signal>) -> Result<(), CliError> {
            Ok(())
        }
    }

    fn fake() -> (Box<Fake>, Sender<()>, Sender<CliError>, Arc<AtomicU32>) {
        let ((idle_in, idle), (ended_in, ended)) = (unbounded(), unbounded());
        let reloads = Arc::new(AtomicU32::new(0));
        (Box::new(Fake { idle, ended, reloads: reloads.clone() }), idle_in, ended_in, reloads)
    }

    #[test]
    fn signals_reload_and_end() {
        let (engine, _idle, _ended, reloads) = fake();
        let (sender, signals) = unbounded();
        sender.send(Signal::Hangup).unwrap();
        sender.send(Signal::Interrupt).unwrap();
        let end = supervise(engine, &signals, false).unwrap_err();
        assert_eq!((end.kind, reloads.load(Ordering::SeqCst)), (ExitKind::Interrupted, 1));
    }

    #[test]
    fn idle_ends_well_and_a_dead_engine_does_not() {
        let (engine, idle, _ended, _) = fake();
        let (_sender, signals) = unbounded();
        idle.send(()).unwrap();
        assert_eq!(supervise(engine, &signals, true), Ok(()));
        let (engine, _idle, ended, _) = fake();
        ended.send(CliError::new(ExitKind::Io, "state: the disk fails")).unwrap();
        let end = supervise(engine, &signals, false).unwrap_err();
        assert!(end.kind == ExitKind::Io && end.message.contains("the disk fails"));
    }
}
