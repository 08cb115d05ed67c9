//! The `receiver` room, as `listen` and `demo` see it: it is given the dialects to verify with, and its requests come
//! out of a channel.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use serde_json::Value;

use super::super::error::{CliError, ExitKind, reason};
use super::signature::{self, Verdict};
use crate::model::{Secret, Timestamp};
use crate::receiver::{self, Options};

/// How a receiver answers.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// The status of a request that is not made to fail.
    pub status: u16,
    /// Waited before every answer.
    pub delay: Duration,
    /// Share of requests that are answered 500, from 0 to 1.
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

/// One request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    /// The event type and the delivery id, where headers or body tell them.
    pub event_type: Option<String>,
    pub delivery_id: Option<String>,
    pub body: Vec<u8>,
    /// The answer's status; `None` while hanging.
    pub answered: Option<u16>,
    pub signature: Verdict,
}

/// Requests that wait to be shown; a reader slower than that slows the receiver down.
const WAITING_MAX: usize = 1024;

/// A receiver that runs. It stops when it is dropped.
pub struct Running {
    // Dropped first: a receiver that waits for room in the channel could not be stopped.
    requests: Receiver<Received>,
    receiver: receiver::Receiver,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.receiver.addr()
    }

    /// Every request, in the order of arrival.
    pub fn requests(&self) -> &Receiver<Received> {
        &self.requests
    }
}

/// Binds and serves. `seed` decides which requests fail.
pub fn start(behaviour: Behaviour, seed: u64) -> Result<Running, CliError> {
    let Behaviour { address, secrets, dialect, .. } = behaviour;
    let (sender, requests) = bounded(WAITING_MAX);
    let mut options = Options {
        statuses: vec![behaviour.status],
        delay: behaviour.delay,
        fail_rate: behaviour.fail_rate,
        seed,
        hang: behaviour.hang,
        save: behaviour.save,
        // A reader that is gone is no reason to fail requests.
        on_request: Some(Arc::new(move |request| drop(sender.send(received(request))))),
        ..Options::default()
    };
    if !secrets.is_empty() {
        let judge = move |request: &receiver::Received| {
            signature::verify(dialect.as_deref(), &request.headers, &request.body, &secrets, request.received)
        };
        // A dialect that does not exist is said before the first request comes.
        judge(&nothing())?;
        options.verify = Some(Arc::new(move |request| match judge(request) {
            Ok(Verdict::Good(text)) => receiver::Verdict { ok: true, text },
            Ok(Verdict::Bad(text)) => receiver::Verdict { ok: false, text },
            Ok(Verdict::NotChecked) => receiver::Verdict { ok: false, text: "it is not signed".to_owned() },
            Err(error) => receiver::Verdict { ok: false, text: error.message },
        }));
    }
    let receiver = receiver::Receiver::start(address, options)
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot listen on {address}: {}", reason(&error))))?;
    Ok(Running { receiver, requests })
}

fn nothing() -> receiver::Received {
    receiver::Received {
        number: 0,
        method: String::new(),
        path: String::new(),
        query: None,
        headers: Vec::new(),
        body: Vec::new(),
        received: Timestamp::default(),
        verdict: None,
        status: None,
    }
}

fn received(request: &receiver::Received) -> Received {
    let header = |names: &[&str]| names.iter().find_map(|name| request.header(name)).map(str::to_owned);
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let member = |names: &[&str]| names.iter().find_map(|name| body.get(name)?.as_str()).map(str::to_owned);
    Received {
        at: request.received,
        method: request.method.clone(),
        path: request.query.as_ref().map_or_else(|| request.path.clone(), |query| format!("{}?{query}", request.path)),
        event_type: header(&["x-webhook-event", "ce-type", "trigger"]).or_else(|| member(&["event", "type"])),
        delivery_id: header(&["x-webhook-delivery-id", "webhook-id", "ce-id", "event-id"]),
        body: request.body.clone(),
        answered: request.status,
        signature: match &request.verdict {
            None => Verdict::NotChecked,
            Some(verdict) if verdict.ok => Verdict::Good(verdict.text.clone()),
            Some(verdict) => Verdict::Bad(verdict.text.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_request_arrives_judged() {
        let behaviour = Behaviour {
            address: ([127, 0, 0, 1], 0).into(),
            status: 204,
            delay: Duration::ZERO,
            fail_rate: 0.0,
            hang: false,
            secrets: vec![Secret::new("s")],
            dialect: Some("umbra".into()),
            save: None,
        };
        let running = start(behaviour.clone(), 0).unwrap();
        let mut stream = TcpStream::connect(running.address()).unwrap();
        let head = "POST /umbra?a=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Webhook-Event: invoice.paid\r\n";
        write!(stream, "{head}X-Webhook-Delivery-Id: d1\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        let request = running.requests().recv().unwrap();
        assert_eq!((request.path.as_str(), request.event_type.as_deref()), ("/umbra?a=1", Some("invoice.paid")));
        assert_eq!(request.delivery_id.as_deref(), Some("d1"));
        assert_eq!(request.signature, Verdict::Bad("there is no X-Webhook-Signature header".into()));
        let unknown = Behaviour { dialect: Some("nope".into()), ..behaviour };
        assert!(start(unknown, 0).is_err_and(|error| error.kind == ExitKind::Usage));
    }
}
