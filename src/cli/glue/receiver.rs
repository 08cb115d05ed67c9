//! The `receiver` room, as `listen` and `demo` see it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use serde_json::Value;

use super::super::error::{CliError, ExitKind};
use super::signature::{self, Verdict};
use crate::model::{Secret, Timestamp};
use crate::receiver::{self as room, Options};
use crate::wire::Dialect;

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
    /// Every request goes into a file of its own there.
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

/// Requests that may wait to be shown.
const SHOWN_MAX: usize = 1024;

/// Checks signatures: with the dialect that was named, or with the one whose signature header the request carries.
struct Checker {
    secrets: Vec<Secret>,
    named: Option<Arc<Dialect>>,
    known: Vec<Arc<Dialect>>,
}

impl Checker {
    fn new(behaviour: &Behaviour) -> Result<Self, CliError> {
        let all = signature::dialects();
        let signing = |name: &&str| all.get(name).cloned().filter(|dialect| dialect.signature_header().is_some());
        Ok(Self {
            secrets: behaviour.secrets.clone(),
            named: behaviour.dialect.as_deref().map(signature::find).transpose()?,
            known: all.names().iter().filter_map(signing).collect(),
        })
    }

    fn check(&self, request: &room::Received) -> Verdict {
        let carried = |dialect: &&Arc<Dialect>| {
            dialect.signature_header().is_some_and(|header| request.header(header).is_some())
        };
        match self.named.as_ref().or_else(|| self.known.iter().find(carried)) {
            None => Verdict::NotChecked,
            Some(dialect) => {
                signature::judge(dialect, &request.headers, &request.body, &self.secrets, request.received)
            }
        }
    }
}

/// The first of these members of a JSON object that is a string.
fn member(body: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| body.get(name)?.as_str().map(str::to_owned))
}

fn header(request: &room::Received, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| request.header(name).map(str::to_owned))
}

fn shown(request: &room::Received, signature: Verdict) -> Received {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let event_type = header(request, &["X-Webhook-Event", "ce-type", "X-GitHub-Event"])
        .or_else(|| member(&body, &["event", "type", "trigger"]))
        .or_else(|| header(request, &["trigger"]));
    let delivery_id = header(
        request,
        &["X-Webhook-Delivery-Id", "webhook-id", "event-id", "ce-id", "X-GitHub-Delivery"],
    )
    .or_else(|| member(&body, &["deliveryId", "id"]));
    Received {
        at: request.received,
        method: request.method.clone(),
        path: request.path.clone(),
        event_type,
        delivery_id,
        body: request.body.clone(),
        answered: request.status,
        signature,
    }
}

struct Running {
    receiver: room::Receiver,
    requests: Receiver<Received>,
}

impl RunningReceiver for Running {
    fn address(&self) -> SocketAddr {
        self.receiver.addr()
    }

    fn requests(&self) -> &Receiver<Received> {
        &self.requests
    }
}

/// Binds and serves. An address in use is `Io` and names the address.
pub fn start(behaviour: Behaviour) -> Result<Box<dyn RunningReceiver>, CliError> {
    let checker = Arc::new(Checker::new(&behaviour)?);
    let (sender, requests) = bounded(SHOWN_MAX);
    let for_verdict = checker.clone();
    let verify = move |request: &room::Received| match for_verdict.check(request) {
        Verdict::Good(text) => room::Verdict { ok: true, text },
        Verdict::NotChecked => room::Verdict { ok: true, text: "not checked".to_owned() },
        Verdict::Bad(text) => room::Verdict { ok: false, text },
    };
    let on_request = move |request: &room::Received| {
        let _ = sender.send(shown(request, checker.check(request)));
    };
    let options = Options {
        statuses: vec![behaviour.status],
        delay: behaviour.delay,
        fail_rate: behaviour.fail_rate,
        seed: fastrand::u64(..),
        hang: behaviour.hang,
        save: behaviour.save,
        verify: Some(Arc::new(verify)),
        on_request: Some(Arc::new(on_request)),
        ..Options::default()
    };
    let address = behaviour.address;
    let receiver = room::Receiver::start(address, options)
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot listen on {address}: {error}")))?;
    Ok(Box::new(Running { receiver, requests }))
}
