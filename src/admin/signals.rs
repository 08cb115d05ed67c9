//! Signals as messages on a channel, so that the rest of the program needs no handler of its own.

use std::io;
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use tokio::signal::unix::{SignalKind, signal};

/// What somebody outside asks of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: ^C on a terminal.
    Interrupt,
    /// SIGTERM: the service manager stops us.
    Terminate,
    /// SIGHUP: load the configuration again.
    Hangup,
}

/// Catches the three signals from now on, until the process ends; the receiver gets one message per signal.
pub fn watch_signals() -> io::Result<Receiver<Signal>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate, mut hangup) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    let (sender, receiver) = unbounded();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let seen = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    Some(()) = hangup.recv() => Signal::Hangup,
                    else => return,
                };
                if sender.send(seen).is_err() {
                    return;
                }
            }
        });
    })?;
    Ok(receiver)
}
