//! What all endpoints share: the egress policy, the proxy rules, the resolver, the TLS identities and the clock.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::policy::{AddressPolicy, PolicyError};
use super::pool::Pool;
use super::proxy::{ProxyError, ProxyRules};
use super::resolver::Resolver;
use super::tls::Identities;
use crate::env::Clock;

/// A `[network]` table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("network.allow or network.deny: {0}")]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// Built once per configuration; endpoints made from it keep it alive.
pub(super) struct Network {
    pub(super) policy: AddressPolicy,
    pub(super) proxies: ProxyRules,
    pub(super) resolver: Resolver,
    pub(super) identities: Identities,
    pub(super) clock: Arc<dyn Clock>,
    pools: Mutex<Pools>,
}

#[derive(Default)]
struct Pools {
    all: Vec<Weak<Pool>>,
    swept: Duration,
}

/// How often unused connections are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Network {
    pub(super) fn new(policy: AddressPolicy, proxies: ProxyRules, resolver: Resolver, clock: Arc<dyn Clock>) -> Self {
        Self { policy, proxies, resolver, identities: Identities::default(), clock, pools: Mutex::default() }
    }

    pub(super) fn register(&self, pool: &Arc<Pool>) {
        self.lock().all.push(Arc::downgrade(pool));
    }

    /// Closes connections that were idle for too long, at most once a second; a busy caller never waits for another.
    pub(super) fn close_idle(&self) {
        let now = self.clock.monotonic();
        let Ok(mut pools) = self.pools.try_lock() else { return };
        if now.saturating_sub(pools.swept) < SWEEP_EVERY {
            return;
        }
        pools.swept = now;
        pools.all.retain(|pool| pool.upgrade().inspect(|pool| pool.close_idle(now)).is_some());
    }

    /// Interrupts every exchange under way and refuses new ones.
    pub(super) fn shut_down(&self) {
        let pools: Vec<_> = self.lock().all.iter().filter_map(Weak::upgrade).collect();
        for pool in pools {
            pool.shut_down();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
