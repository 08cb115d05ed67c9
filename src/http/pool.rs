//! The connections of one endpoint: those that are idle, and how one is lent to ureq, which reads the answer from it.
//!
//! ureq's own pool costs O(hosts x idle connections) per request under one mutex, and only ureq can take a connection
//! out of it. So an endpoint keeps its idle connections itself, the newest on top; a request goes out on one without
//! ureq, and when its answer comes, ureq is handed that connection in place of a new one.

use std::cell::Cell;
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::Failure;
use super::classify::{Stop, failure};
use super::dial::Dialer;
use super::link::Link;
use crate::model::{Outcome, Timestamp};

/// Short, so that a connection the peer is about to close is rarely used.
const IDLE_AGE: Duration = Duration::from_secs(4);
pub(super) const MAX_HEAD: usize = 64 * 1024;

pub(super) struct Pool {
    dialer: Dialer,
    kept: Mutex<Kept>,
}

/// A connection that took no longer is made in passing.
const QUICK: Duration = Duration::from_millis(2);

#[derive(Default)]
struct Kept {
    /// The newest last.
    idle: Vec<(Duration, Box<Link>)>,
    /// The sockets of all connections, in use or idle, and perhaps of some that are closed.
    sockets: Vec<Weak<TcpStream>>,
    /// The last attempt to connect took no time to speak of, and succeeded.
    is_quick: bool,
    is_shut_down: bool,
}

impl Pool {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self { dialer, kept: Mutex::default() }
    }

    /// An idle connection if there is one that still stands, or a new one. The exchange in hand bounds how long it takes.
    pub(super) fn lend(self: &Arc<Self>) -> Result<Loan, Failure> {
        let link = match self.take_idle() {
            Some(link) => link,
            None => self.dial()?,
        };
        Ok(Loan { link: Some(link), home: Arc::clone(self), is_kept: false })
    }

    /// Whether another request could leave at once.
    pub(super) fn is_ready(&self) -> bool {
        let kept = self.kept();
        kept.is_quick || !kept.idle.is_empty()
    }

    /// Until when the certificate is valid that was accepted last.
    pub(super) fn certificate_until(&self) -> Option<Timestamp> {
        self.dialer.certificate_until()
    }

    fn dial(&self) -> Result<Box<Link>, Failure> {
        if self.kept().is_shut_down {
            return Err(shut_down());
        }
        let began = self.now();
        let link = self.dialer.connect(|socket| self.register(socket));
        self.kept().is_quick = link.is_ok() && self.now().saturating_sub(began) <= QUICK;
        link.map(Box::new)
    }

    fn take_idle(&self) -> Option<Box<Link>> {
        let now = self.now();
        loop {
            let (since, link) = self.kept().idle.pop()?;
            if now.saturating_sub(since) <= IDLE_AGE && link.socket().is_quiet() {
                return Some(link);
            }
        }
    }

    fn keep(&self, link: Box<Link>) {
        let now = self.now();
        let mut kept = self.kept();
        if !kept.is_shut_down {
            kept.idle.push((now, link));
        }
    }

    fn register(&self, socket: &Arc<TcpStream>) -> Result<(), Failure> {
        let mut kept = self.kept();
        if kept.is_shut_down {
            return Err(shut_down());
        }
        if kept.sockets.len() == kept.sockets.capacity() {
            kept.sockets.retain(|socket| socket.strong_count() > 0);
        }
        kept.sockets.push(Arc::downgrade(socket));
        Ok(())
    }

    /// Closes connections that nobody used for some seconds.
    pub(super) fn close_idle(&self, now: Duration) {
        let mut kept = self.kept();
        let old = kept.idle.partition_point(|(since, _)| now.saturating_sub(*since) > IDLE_AGE);
        kept.idle.drain(..old);
    }

    /// Ends the exchanges under way; there will be no others.
    pub(super) fn shut_down(&self) {
        let mut kept = self.kept();
        kept.is_shut_down = true;
        kept.idle.clear();
        for socket in kept.sockets.drain(..).filter_map(|socket| socket.upgrade()) {
            // A connection that is closed already needs nothing more.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn now(&self) -> Duration {
        self.dialer.network.clock.monotonic()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shut_down() -> Failure {
    failure(Outcome::Reset, "the engine is about to end and makes no more connections")
}

/// A connection in use. Goes back to its pool when ureq means to keep it; otherwise it is closed.
pub(super) struct Loan {
    link: Option<Box<Link>>,
    home: Arc<Pool>,
    is_kept: bool,
}

impl Loan {
    pub(super) fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("a loan has its link until it is dropped")
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.link.as_ref().expect("a loan has its link until it is dropped").socket().stream()
    }

    /// Reads the head of the answer, through ureq. The connection goes back when the body has been read.
    pub(super) fn answer(self) -> Result<Response<ureq::Body>, ureq::Error> {
        // A `GET`: an answer to it is framed as one to a `POST`, and ureq has less to do.
        thread_local! {
            static AGENT: Agent = bare_agent(Handover);
            static STAND_IN: Uri = Uri::from_static("http://endpoint/");
        }
        HANDED.set(Some(self));
        let answer = STAND_IN.with(|uri| AGENT.with(|agent| agent.get(uri).call()));
        HANDED.take();
        answer
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(link) = self.link.take().filter(|_| self.is_kept) {
            self.home.keep(link);
        }
    }
}

impl Transport for Loan {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.link().buffers()
    }

    /// The request has left already.
    fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.link().receive().map_err(Stop::because)
    }

    /// ureq asks when it would keep the connection, which its pool, having no room, then drops.
    fn is_open(&mut self) -> bool {
        self.is_kept = self.link().is_reusable();
        self.is_kept
    }

    fn is_tls(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.is_tls())
    }
}

impl fmt::Debug for Loan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Loan").field("tls", &self.is_tls()).finish_non_exhaustive()
    }
}

thread_local! {
    /// The connection that ureq is about to ask for.
    static HANDED: Cell<Option<Loan>> = const { Cell::new(None) };
}

#[derive(Debug)]
struct Handover;

impl Connector for Handover {
    type Out = Loan;

    fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<Loan>, ureq::Error> {
        Ok(HANDED.take())
    }
}

/// An agent with redirects, automatic headers, error statuses, timeouts, proxies and pooling of ureq's own all switched
/// off: deadlines are kept by our sockets, everything else is decided outside.
pub(super) fn bare_agent(connector: impl Connector) -> Agent {
    let config = Config::builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .proxy(None)
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .timeout_await_100(Some(Duration::ZERO))
        .max_response_header_size(MAX_HEAD)
        .max_idle_connections(0)
        .max_idle_connections_per_host(0)
        .build();
    Agent::with_parts(config, connector, NoResolver)
}

/// ureq resolves before it asks for a connection; ours look names up themselves, when they need an address.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}
