//! Host names become addresses: a cache over getaddrinfo with a bounded number of look-ups under way.
//!
//! getaddrinfo cannot be cancelled, so each look-up runs on a thread of its own while callers wait for it until their
//! deadline. At most `MAX_LOOKUPS` run at once and one per name; a name server that never answers costs eight threads
//! and no more. Whether an address may be used is the policy's business, not ours.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::env::Clock;

const FRESH: Duration = Duration::from_secs(45);
/// How long a name that was not found is not asked for again.
const FAILED: Duration = Duration::from_secs(5);
/// Old answers bridge an outage of the name server for this long.
const STALE: Duration = Duration::from_secs(600);
const MAX_LOOKUPS: usize = 8;
const MAX_NAMES: usize = 4096;
/// Addresses kept of one answer.
const MAX_ADDRESSES: usize = 16;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    #[error("the name {0} was not found: {1}")]
    Failed(String, String),
    #[error("the name {0} was not looked up in time")]
    TimedOut(String),
}

type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

#[derive(Default)]
struct Entry {
    /// The last answer that had addresses, and when it came.
    addresses: Option<(Arc<[IpAddr]>, Duration)>,
    /// The last failure, when it is younger than the last answer.
    failure: Option<(String, Duration)>,
    running: bool,
}

#[derive(Default)]
struct State {
    names: HashMap<String, Entry>,
    running: usize,
}

struct Shared {
    clock: Arc<dyn Clock>,
    lookup: Box<Lookup>,
    state: Mutex<State>,
    answered: Condvar,
}

/// The cache. Cheap to clone.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Shared>);

fn getaddrinfo(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

impl Resolver {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_lookup(clock, Box::new(getaddrinfo))
    }

    pub(super) fn with_lookup(clock: Arc<dyn Clock>, lookup: Box<Lookup>) -> Self {
        Self(Arc::new(Shared { clock, lookup, state: Mutex::default(), answered: Condvar::new() }))
    }

    /// The addresses of `host` in the order to try them; waits at most `wait` for the name server.
    pub(super) fn addresses(&self, host: &str, wait: Duration) -> Result<Arc<[IpAddr]>, LookupError> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(Arc::new([literal]));
        }
        let give_up = self.0.clock.monotonic().saturating_add(wait);
        let mut state = self.lock();
        loop {
            let now = self.0.clock.monotonic();
            let slot_free = state.running < MAX_LOOKUPS;
            let entry = state.names.entry(host.to_owned()).or_default();
            if let Some(answer) = entry.answer(host, now, slot_free) {
                return answer;
            }
            if !entry.running && slot_free {
                entry.running = true;
                state.running += 1;
                if let Err(error) = self.start(host) {
                    state.settle(host, Err(error.to_string()), now);
                    continue;
                }
            }
            let left = give_up.saturating_sub(now);
            if left.is_zero() {
                return Err(LookupError::TimedOut(host.to_owned()));
            }
            state = self.0.answered.wait_timeout(state, left).unwrap_or_else(|poison| poison.into_inner()).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    fn start(&self, host: &str) -> io::Result<()> {
        let (this, host) = (self.clone(), host.to_owned());
        let look_up = move || {
            let answer = match (this.0.lookup)(&host) {
                Ok(mut addresses) if !addresses.is_empty() => {
                    addresses.dedup();
                    addresses.truncate(MAX_ADDRESSES);
                    Ok(addresses)
                }
                Ok(_) => Err("it has no address".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            let now = this.0.clock.monotonic();
            this.lock().settle(&host, answer, now);
            this.0.answered.notify_all();
        };
        std::thread::Builder::new().name("look-up".to_owned()).spawn(look_up).map(drop)
    }
}

impl Entry {
    /// What can be said without asking: a fresh answer, a recent failure, or, when nobody can be asked, an old answer.
    fn answer(&self, host: &str, now: Duration, slot_free: bool) -> Option<Result<Arc<[IpAddr]>, LookupError>> {
        let failed = self.failure.as_ref().filter(|(_, at)| now.saturating_sub(*at) < FAILED);
        if let Some((addresses, at)) = &self.addresses {
            let age = now.saturating_sub(*at);
            let cannot_ask = failed.is_some() || (!self.running && !slot_free);
            if age < FRESH || (age < STALE && cannot_ask) {
                return Some(Ok(Arc::clone(addresses)));
            }
        }
        failed.map(|(text, _)| Err(LookupError::Failed(host.to_owned(), text.clone())))
    }

    fn is_worth_keeping(&self, now: Duration) -> bool {
        let young = |at: Duration, limit| now.saturating_sub(at) < limit;
        self.running
            || self.addresses.as_ref().is_some_and(|(_, at)| young(*at, STALE))
            || self.failure.as_ref().is_some_and(|(_, at)| young(*at, FAILED))
    }
}

impl State {
    fn settle(&mut self, host: &str, answer: Result<Vec<IpAddr>, String>, now: Duration) {
        self.running -= 1;
        if self.names.len() > MAX_NAMES {
            self.names.retain(|_, entry| entry.is_worth_keeping(now));
        }
        let entry = self.names.entry(host.to_owned()).or_default();
        entry.running = false;
        match answer {
            Ok(addresses) => {
                entry.addresses = Some((addresses.into(), now));
                entry.failure = None;
            }
            Err(text) => entry.failure = Some((text, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::env::{ManualClock, SystemClock};
    use crate::model::Timestamp;

    const WAIT: Duration = Duration::from_secs(5);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn literals_are_not_looked_up() {
        let never = Resolver::with_lookup(Arc::new(SystemClock::new()), Box::new(|_| panic!("looked up")));
        assert_eq!(*never.addresses("::1", WAIT).unwrap(), [ip("::1")]);
    }

    #[test]
    fn localhost_is_found() {
        let resolver = Resolver::new(Arc::new(SystemClock::new()));
        assert!(resolver.addresses("localhost", WAIT).unwrap().iter().all(IpAddr::is_loopback));
    }

    #[test]
    fn answers_are_kept_and_bridge_an_outage() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let lookup = move |_: &str| match counter.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(vec![ip("10.0.0.1")]),
            _ => Err(io::Error::other("name server down")),
        };
        let resolver = Resolver::with_lookup(clock.clone(), Box::new(lookup));
        for _ in 0..3 {
            assert_eq!(*resolver.addresses("oms.lan", WAIT).unwrap(), [ip("10.0.0.1")]);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        clock.advance(FRESH);
        assert_eq!(*resolver.addresses("oms.lan", WAIT).unwrap(), [ip("10.0.0.1")]);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        clock.advance(STALE);
        let error = resolver.addresses("oms.lan", WAIT).unwrap_err();
        assert_eq!(error.to_string(), "the name oms.lan was not found: name server down");
        assert_eq!(resolver.addresses("oms.lan", WAIT).unwrap_err(), error);
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_dead_name_server_costs_a_bounded_number_of_threads() {
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let lookup = move |_: &str| {
            counter.fetch_add(1, Ordering::SeqCst);
            held.lock().unwrap().recv().ok();
            Ok(vec![ip("10.0.0.1")])
        };
        let resolver = Resolver::with_lookup(Arc::new(SystemClock::new()), Box::new(lookup));
        for at in 0..3 * MAX_LOOKUPS {
            let name = format!("host{at}.lan");
            let error = resolver.addresses(&name, Duration::from_millis(5)).unwrap_err();
            assert_eq!(error, LookupError::TimedOut(name));
        }
        assert!(calls.load(Ordering::SeqCst) <= MAX_LOOKUPS);
        drop(release);
        assert_eq!(*resolver.addresses("host20.lan", WAIT).unwrap(), [ip("10.0.0.1")]);
    }
}
