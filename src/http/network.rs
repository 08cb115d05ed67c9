//! What all endpoints share: the egress policy, the proxy rules, the resolver, the TLS identities and the clock.

use std::sync::{Arc, Mutex, PoisonError, Weak};

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
    pools: Mutex<Vec<Weak<Pool>>>,
}

impl Network {
    pub(super) fn new(policy: AddressPolicy, proxies: ProxyRules, resolver: Resolver, clock: Arc<dyn Clock>) -> Self {
        Self { policy, proxies, resolver, identities: Identities::default(), clock, pools: Mutex::default() }
    }

    pub(super) fn register(&self, pool: &Arc<Pool>) {
        self.lock().push(Arc::downgrade(pool));
    }

    /// Closes connections that were idle for too long.
    pub(super) fn close_idle(&self) {
        let now = self.clock.monotonic();
        self.lock().retain(|pool| pool.upgrade().inspect(|pool| pool.close_idle(now)).is_some());
    }

    /// Interrupts every exchange under way and refuses new ones.
    pub(super) fn shut_down(&self) {
        let pools: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        for pool in pools {
            pool.shut_down();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Pool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
