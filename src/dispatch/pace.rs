//! How much of the pool an endpoint may have, and when. Pure.
//!
//! The concurrency follows Postfix's destination concurrency: it begins small, grows by one with each success and halves
//! with each failure. A breaker holds first attempts back while nothing but failures comes, and lets a probe through
//! after growing waits; retries have their own schedule and pass it.

use std::time::Duration;

use crate::model::{Rate, Timestamp};

/// Before the first success: an endpoint that does not answer holds one worker, not more.
const INITIAL_CONCURRENCY: u32 = 1;
/// Connections of one endpoint that one worker serves at a time: their answers come while it sends, so it rarely sleeps.
const BREADTH_MAX: u32 = 8;
/// Failures in a row that make an endpoint a suspect: suspects share a part of the pool.
const SUSPECT_AFTER: u32 = 3;
/// Failures in a row that open the breaker: many, or fewer over a longer time.
const BREAKER_AFTER: u32 = 50;
const BREAKER_AFTER_SLOW: u32 = 10;
const SLOW: Duration = Duration::from_secs(30);
const BREAKER_WAIT_MAX: Duration = Duration::from_secs(60);

/// A token bucket of one `per` worth of tokens.
#[derive(Clone, Debug)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    filled: Timestamp,
}

impl Bucket {
    fn refill(&mut self, now: Timestamp) {
        let per_token = self.rate.per.as_secs_f64() / f64::from(self.rate.count.max(1));
        let gained = now.since(self.filled).as_secs_f64() / per_token;
        self.tokens = (self.tokens + gained).min(f64::from(self.rate.count.max(1)));
        self.filled = now;
    }

    fn ready_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.refill(now);
        if self.tokens >= 1.0 {
            return None;
        }
        let per_token = self.rate.per.as_secs_f64() / f64::from(self.rate.count.max(1));
        Some(now.plus(Duration::from_secs_f64((1.0 - self.tokens) * per_token).max(Duration::from_millis(1))))
    }
}

/// The pace of one lane.
#[derive(Clone, Debug)]
pub struct Pace {
    max: u32,
    allowed: u32,
    in_flight: u32,
    failures: u32,
    /// The first failure since the last success.
    failing_since: Option<Timestamp>,
    proven: bool,
    /// First attempts wait until then.
    breaker_until: Option<Timestamp>,
    /// Everything waits until then: the receiver asked for it.
    quiet_until: Option<Timestamp>,
    bucket: Option<Bucket>,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It took a delivery since the engine started.
    Proven,
    Unproven,
    /// Nothing but failures lately.
    Suspect,
}

/// What the next delivery would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    First,
    Retry,
}

/// Whether a lane may send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Run,
    /// Not before an outcome of this lane comes in.
    Full,
    /// Not before then.
    Until(Timestamp),
}

/// What of the pace holds a delivery back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// As many are on their way as the endpoint may have.
    Full(u32),
    /// The receiver asked to be left alone until then.
    Quiet(Timestamp),
    /// Nothing but failures came, so first attempts wait until then.
    Breaker(Timestamp),
    /// The breaker lets one attempt through, and that is on its way.
    Probe,
    /// The rate limit lets the next one go then.
    Rate(Rate, Timestamp),
}

impl Pace {
    pub fn new(max_in_flight: u32, rate: Option<Rate>, now: Timestamp) -> Self {
        let max = max_in_flight.max(1);
        let bucket = rate.map(|rate| Bucket { rate, tokens: f64::from(rate.count.max(1)), filled: now });
        Self {
            max,
            allowed: INITIAL_CONCURRENCY.min(max),
            in_flight: 0,
            failures: 0,
            failing_since: None,
            proven: false,
            breaker_until: None,
            quiet_until: None,
            bucket,
        }
    }

    /// New limits; what was learned about the endpoint stays.
    pub fn reconfigure(&mut self, max_in_flight: u32, rate: Option<Rate>, now: Timestamp) {
        let fresh = Self::new(max_in_flight, rate, now);
        self.max = fresh.max;
        self.allowed = self.allowed.min(self.max);
        if self.bucket.as_ref().map(|bucket| bucket.rate) != rate {
            self.bucket = fresh.bucket;
        }
    }

    pub fn admit(&mut self, kind: Kind, now: Timestamp) -> Admission {
        if self.in_flight >= self.allowed {
            return Admission::Full;
        }
        if let Some(until) = self.quiet_until.filter(|until| *until > now) {
            return Admission::Until(until);
        }
        if kind == Kind::First
            && let Some(until) = self.breaker_until
        {
            if until > now {
                return Admission::Until(until);
            }
            if self.in_flight > 0 {
                return Admission::Full;
            }
        }
        match self.bucket.as_mut().and_then(|bucket| bucket.ready_at(now)) {
            Some(at) => Admission::Until(at),
            None => Admission::Run,
        }
    }

    /// Why [`admit`](Self::admit) lets nothing go; it changes nothing.
    pub fn brake(&self, kind: Kind, now: Timestamp) -> Option<Brake> {
        let mut pace = self.clone();
        let breaker = self.breaker_until.filter(|_| kind == Kind::First);
        let (rate, quiet) = (self.bucket.as_ref().map(|bucket| bucket.rate), self.quiet_until);
        match pace.admit(kind, now) {
            Admission::Run => None,
            Admission::Full if self.in_flight < self.allowed => Some(Brake::Probe),
            Admission::Full => Some(Brake::Full(self.in_flight)),
            Admission::Until(at) if quiet == Some(at) => Some(Brake::Quiet(at)),
            Admission::Until(at) if breaker == Some(at) => Some(Brake::Breaker(at)),
            Admission::Until(at) => rate.map(|rate| Brake::Rate(rate, at)),
        }
    }

    /// A worker begins, with this many connections.
    pub fn started(&mut self, connections: u32) {
        self.in_flight += connections;
        if let Some(bucket) = &mut self.bucket {
            bucket.tokens -= 1.0;
        }
    }

    /// A worker has no more need of so many connections.
    pub fn freed(&mut self, connections: usize) {
        self.in_flight = self.in_flight.saturating_sub(u32::try_from(connections).unwrap_or(u32::MAX));
    }

    fn is_well(&self) -> bool {
        self.failures == 0 && self.bucket.is_none()
    }

    /// Connections of one worker at most: a quarter of all, so that several workers have some.
    fn breadth(&self) -> u32 {
        (self.max / 4).clamp(1, BREADTH_MAX)
    }

    /// How many events one worker may take of this many that wait: an endpoint that is well gets them in runs, spread
    /// over all its workers, unless there are so many lanes that one is enough (`crowded`).
    pub fn share(&self, waiting: usize, crowded: bool) -> usize {
        match self.is_well() {
            false => 0,
            true if crowded => waiting,
            true => waiting * self.breadth() as usize / self.max as usize,
        }
    }

    /// Over how many connections at a time one worker may send so many events.
    pub fn width(&self, events: usize) -> u32 {
        let most = if self.is_well() { self.breadth().min(self.allowed.saturating_sub(self.in_flight)) } else { 1 };
        u32::try_from(events).unwrap_or(u32::MAX).min(most).max(1)
    }

    /// An outcome came in. `trouble`: the endpoint as a whole seems ill.
    pub fn ended(&mut self, success: bool, trouble: bool, now: Timestamp) {
        if success {
            self.failures = 0;
            self.failing_since = None;
            self.proven = true;
            self.breaker_until = None;
            self.allowed = (self.allowed + 1).min(self.max);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if trouble {
            self.allowed = (self.allowed / 2).max(1);
        }
        let since = *self.failing_since.get_or_insert(now);
        let after = if now.since(since) >= SLOW { BREAKER_AFTER_SLOW } else { BREAKER_AFTER };
        if self.failures >= after {
            let doublings = (self.failures - after).min(6);
            self.breaker_until = Some(now.plus((Duration::from_secs(1) * (1 << doublings)).min(BREAKER_WAIT_MAX)));
        }
    }

    /// The receiver asked to be left alone until `until` (429, 503 with Retry-After).
    pub fn quiet(&mut self, until: Timestamp) {
        self.quiet_until = self.quiet_until.max(Some(until));
    }

    pub fn standing(&self) -> Standing {
        match self.proven {
            _ if self.failures >= SUSPECT_AFTER => Standing::Suspect,
            true => Standing::Proven,
            false => Standing::Unproven,
        }
    }

    /// First attempts are held back by the breaker.
    pub fn breaker_open(&self, now: Timestamp) -> Option<Timestamp> {
        self.breaker_until.filter(|until| *until > now)
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn concurrency_grows_with_success_and_halves_with_trouble() {
        let mut pace = Pace::new(8, None, NOW);
        for _ in 0..10 {
            pace.started(1);
            pace.freed(1);
            pace.ended(true, false, NOW);
        }
        assert_eq!(pace.allowed, 8);
        pace.started(1);
        pace.freed(1);
        pace.ended(false, true, NOW);
        assert_eq!(pace.allowed, 4);
        for _ in 0..5 {
            pace.started(1);
            pace.freed(1);
            pace.ended(false, true, NOW);
        }
        assert_eq!(pace.allowed, 1);
        assert_eq!(pace.standing(), Standing::Suspect);
    }

    #[test]
    fn the_breaker_lets_one_probe_through_and_closes_on_success() {
        let mut pace = Pace::new(8, None, NOW);
        for _ in 0..BREAKER_AFTER {
            pace.started(1);
            pace.freed(1);
            pace.ended(false, true, NOW);
        }
        let until = pace.breaker_open(NOW).expect("open");
        assert_eq!(pace.admit(Kind::First, NOW), Admission::Until(until));
        assert_eq!(pace.admit(Kind::Retry, NOW), Admission::Run);
        assert_eq!((pace.brake(Kind::First, NOW), pace.brake(Kind::Retry, NOW)), (Some(Brake::Breaker(until)), None));
        assert_eq!(pace.admit(Kind::First, until), Admission::Run);
        pace.started(1);
        assert_eq!(pace.admit(Kind::First, until), Admission::Full);
        assert_eq!(pace.brake(Kind::First, until), Some(Brake::Full(1)));
        pace.freed(1);
        pace.ended(true, false, until);
        assert_eq!(pace.breaker_open(until), None);
    }

    #[test]
    fn a_rate_limit_spaces_requests() {
        let rate = Rate { count: 2, per: Duration::from_secs(1) };
        let mut pace = Pace::new(8, Some(rate), NOW);
        for _ in 0..2 {
            assert_eq!(pace.admit(Kind::First, NOW), Admission::Run);
            pace.started(1);
            pace.freed(1);
            pace.ended(true, false, NOW);
        }
        let at = NOW.plus(Duration::from_millis(500));
        assert_eq!(pace.brake(Kind::First, NOW), Some(Brake::Rate(rate, at)));
        assert_eq!(pace.admit(Kind::First, NOW), Admission::Until(at));
        assert_eq!(pace.admit(Kind::First, NOW.plus(Duration::from_millis(500))), Admission::Run);
    }
}
