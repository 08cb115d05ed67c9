//! The connections of one endpoint, kept in ureq agents of its own.
//!
//! ureq's pool costs O(hosts x idle connections) per request under one mutex, so each endpoint has its own: the cost
//! stays flat from one endpoint to thousands, workers find the endpoint's warm connection, and endpoints never wait for
//! each other. Under concurrency an endpoint spreads over a few agents by thread, because ureq probes a pooled
//! connection while it holds the mutex. Requests per second over loopback, 32 threads, 500-byte body, the server on the
//! same two cores:
//!
//! | endpoints | this | without the spreading | an agent per thread (32 idle) | one agent for all |
//! |---|---|---|---|---|
//! | 1 | 50,000 | 28,000 | 39,000 | 25,000 |
//! | 100 | 28,000 | 31,000 | 6,300 | 730 |
//! | 1,000 | 25,000 | 32,000 | 4,600 | 160 |
//!
//! ureq closes idle connections only when the agent is used again; `close_idle` drops the agents of an endpoint that
//! went quiet.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Connector, NextTimeout};

/// Short, so that a connection the peer is about to close is rarely used.
const IDLE_AGE: Duration = Duration::from_secs(4);
const MAX_IDLE: usize = 32;
pub(super) const MAX_HEAD: usize = 64 * 1024;

const SHARDS: usize = 8;

pub(super) struct Pool {
    make: Box<dyn Fn() -> Agent + Send + Sync>,
    shards: [Mutex<Option<Agent>>; SHARDS],
    in_use: AtomicUsize,
    /// `Clock::monotonic` in milliseconds; 0 when there is nothing to close.
    last_use_ms: AtomicU64,
    shut_down: AtomicBool,
}

/// A number of this thread's own, so that threads spread evenly over shards.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
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
        Self {
            make: Box::new(make),
            shards: Default::default(),
            in_use: AtomicUsize::new(0),
            last_use_ms: AtomicU64::new(0),
            shut_down: AtomicBool::new(false),
        }
    }

    /// An agent of the endpoint, held in use until the lease is dropped. A lone request finds the connection of the last
    /// lone request.
    pub(super) fn lease(&self) -> Lease<'_> {
        let is_lone = self.in_use.fetch_add(1, Ordering::SeqCst) == 0;
        let at = if is_lone { 0 } else { thread_number() % SHARDS };
        let agent = self.shard(at).get_or_insert_with(|| self.make_agent()).clone();
        Lease { pool: self, agent, ended: Duration::ZERO }
    }

    pub(super) fn close_idle(&self, now: Duration) {
        let last_use_ms = self.last_use_ms.load(Ordering::SeqCst);
        let idle = now.saturating_sub(Duration::from_millis(last_use_ms));
        if last_use_ms > 0 && self.in_use.load(Ordering::SeqCst) == 0 && idle > IDLE_AGE {
            self.last_use_ms.store(0, Ordering::SeqCst);
            (0..SHARDS).for_each(|at| *self.shard(at) = None);
        }
    }

    /// Ends the exchanges under way; later leases get agents that refuse.
    pub(super) fn shut_down(&self) {
        self.shut_down.store(true, Ordering::SeqCst);
        (0..SHARDS).filter_map(|at| self.shard(at).clone()).for_each(Agent::shutdown);
    }

    fn make_agent(&self) -> Agent {
        let agent = (self.make)();
        if self.shut_down.load(Ordering::SeqCst) {
            agent.clone().shutdown();
        }
        agent
    }

    fn shard(&self, at: usize) -> MutexGuard<'_, Option<Agent>> {
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
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
        let ended_ms = u64::try_from(self.ended.as_millis()).unwrap_or(u64::MAX);
        self.pool.last_use_ms.fetch_max(ended_ms, Ordering::SeqCst);
        self.pool.in_use.fetch_sub(1, Ordering::SeqCst);
    }
}
