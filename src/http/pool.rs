//! The connections of one endpoint, kept in a ureq agent of its own.
//!
//! ureq's pool costs O(hosts x idle connections) per request under one mutex, so each endpoint has its own small one:
//! the cost stays flat from one endpoint to thousands, every worker finds the endpoint's warm connection, and endpoints
//! never wait for each other. ureq closes idle connections only when the agent is used again; `close_idle` drops the
//! agent of an endpoint that went quiet.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout};

/// Short, so that a connection the peer is about to close is rarely used.
const IDLE_AGE: Duration = Duration::from_secs(4);
const MAX_IDLE: usize = 64;
pub(super) const MAX_HEAD: usize = 64 * 1024;

pub(super) struct Pool {
    make: Box<dyn Fn() -> Agent + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    agent: Option<Agent>,
    in_use: usize,
    last_use: Duration,
    shut_down: bool,
}

/// An agent with redirects, automatic headers, error statuses, timeouts and proxies of ureq's own all switched off:
/// deadlines are kept by our sockets, everything else is decided outside.
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
        .max_idle_connections(MAX_IDLE)
        .max_idle_connections_per_host(MAX_IDLE)
        .max_idle_age(IDLE_AGE)
        .build();
    Agent::with_parts(config, connector, NoResolver)
}

/// ureq resolves before it looks into its pool; our connectors look names up themselves, when they need an address.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

impl Pool {
    pub(super) fn new(make: impl Fn() -> Agent + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), state: Mutex::default() }
    }

    /// The endpoint's agent, held in use until the lease is dropped.
    pub(super) fn lease(&self) -> Lease<'_> {
        let mut state = self.lock();
        state.in_use += 1;
        let agent = state.agent.get_or_insert_with(&self.make).clone();
        Lease { pool: self, agent, ended: Duration::ZERO }
    }

    pub(super) fn close_idle(&self, now: Duration) {
        let mut state = self.lock();
        if state.in_use == 0 && !state.shut_down && now.saturating_sub(state.last_use) > IDLE_AGE {
            state.agent = None;
        }
    }

    pub(super) fn shut_down(&self) {
        let mut state = self.lock();
        state.shut_down = true;
        state.agent.get_or_insert_with(&self.make).clone().shutdown();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Lease<'a> {
    pool: &'a Pool,
    pub(super) agent: Agent,
    /// When the exchange ended.
    pub(super) ended: Duration,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.in_use -= 1;
        state.last_use = state.last_use.max(self.ended);
    }
}
