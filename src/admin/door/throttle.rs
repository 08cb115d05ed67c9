//! Slows peers that keep showing wrong tokens. Pure: the time comes in as a value, and the table is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Wrong tokens in a row that are nobody's business.
const BURST: u32 = 20;
/// After them, one for each of these.
const REFILL: Duration = Duration::from_secs(3);
/// Peers remembered; beyond them the one that was wrong longest ago is forgotten.
const PEERS_MAX: usize = 1024;

/// When a peer's count of wrong tokens would be back at zero.
#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<IpAddr, Duration>>);

/// Whoever has one IPv6 address has 2^64 of them.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

impl Throttle {
    /// How long the peer has to wait before a wrong token of it is looked at again; `None`: not at all.
    pub(super) fn wait(&self, address: IpAddr, now: Duration) -> Option<Duration> {
        let clear_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&peer(address))?;
        let allowed = REFILL * (BURST - 1);
        (clear_at > now + allowed).then(|| clear_at - now - allowed)
    }

    /// Counts a wrong token.
    pub(super) fn wrong(&self, address: IpAddr, now: Duration) {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let clear_at = peers.get(&peer(address)).copied().unwrap_or_default().max(now) + REFILL;
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, clear_at| *clear_at > now);
        }
        if peers.len() >= PEERS_MAX
            && let Some(oldest) = peers.iter().min_by_key(|(_, clear_at)| **clear_at).map(|(address, _)| *address)
        {
            peers.remove(&oldest);
        }
        peers.insert(peer(address), clear_at.min(now + REFILL * BURST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn a_burst_is_free_and_then_each_costs_time() {
        let (throttle, peer) = (Throttle::default(), IpAddr::from([10, 0, 0, 7]));
        for _ in 0..BURST {
            assert_eq!(throttle.wait(peer, at(0)), None);
            throttle.wrong(peer, at(0));
        }
        assert_eq!(throttle.wait(peer, at(0)), Some(REFILL));
        assert_eq!(throttle.wait(IpAddr::from([10, 0, 0, 8]), at(0)), None);
        assert_eq!(throttle.wait(peer, at(3)), None);
        throttle.wrong(peer, at(3));
        assert_eq!(throttle.wait(peer, at(3)), Some(REFILL));
        assert_eq!(throttle.wait(peer, at(200)), None);
    }

    #[test]
    fn memory_is_bounded_and_one_network_is_one_peer() {
        let throttle = Throttle::default();
        for number in 0..5000_u32 {
            throttle.wrong(IpAddr::from(number.to_be_bytes()), at(0));
        }
        assert!(throttle.0.lock().unwrap().len() <= PEERS_MAX);
        let throttle = Throttle::default();
        for number in 0..BURST as u16 {
            throttle.wrong(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, number]), at(0));
        }
        assert!(throttle.wait(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), at(0)).is_some());
        assert!(throttle.wait(IpAddr::from([0x2001, 0xdb8, 0, 2, 9, 9, 9, 9]), at(0)).is_none());
    }
}
