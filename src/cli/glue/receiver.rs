//! The `receiver` room, as `listen` and `demo` see it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::super::error::{CliError, ExitKind};
use super::signature::Verdict;
use crate::model::{Secret, Timestamp};

/// How a receiver answers.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// The status of a request that is not made to fail.
    pub status: u16,
    /// Waited before every answer.
    pub delay: Duration,
    /// Share of requests that are answered 503, from 0 to 1.
    pub fail_rate: f64,
    /// Take requests and never answer.
    pub hang: bool,
    /// Any of them may have signed; none: signatures are not checked.
    pub secrets: Vec<Secret>,
    /// Whose signature to expect; none: told by the headers.
    pub dialect: Option<String>,
    /// Every body goes into a file of its own there.
    pub save: Option<PathBuf>,
}

/// One request, as it came and as it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    /// The event type and the delivery id, where headers or body tell them.
    pub event_type: Option<String>,
    pub delivery_id: Option<String>,
    pub body: Vec<u8>,
    /// `None` while hanging.
    pub answered: Option<u16>,
    pub signature: Verdict,
}

/// A receiver that runs on a thread of its own. Dropping it stops it.
pub trait RunningReceiver {
    fn address(&self) -> SocketAddr;

    /// Every request, in the order of arrival. The channel is bounded: who does not read it slows the receiver down.
    fn requests(&self) -> &Receiver<Received>;
}

/// Binds and serves. An address in use is `Io` and names the address.
pub fn start(behaviour: Behaviour) -> Result<Box<dyn RunningReceiver>, CliError> {
    Err(CliError::new(ExitKind::Io, format!("cannot listen on {}: no receiver", behaviour.address)))
}
