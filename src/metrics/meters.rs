//! The counters of one engine. Who counts takes the lock once for a whole commit; who reads copies and lets go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Histogram, Series};
use crate::model::{AttemptTrigger, Outcome, SubId, Timestamp};

const ATTEMPT_S: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0];
const END_TO_END_S: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 36_000.0, 86_400.0];
const WAIT_S: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
const WRITE_S: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Points that the series of all subscriptions together may hold: some 20 MiB.
const POINTS_MAX: usize = 160_000;

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Delivered,
    Failed,
    Cancelled,
    Unknown,
    Expired,
    Dropped,
}

impl Finish {
    pub const ALL: [Self; 6] =
        [Self::Delivered, Self::Failed, Self::Cancelled, Self::Unknown, Self::Expired, Self::Dropped];

    /// The name in metrics: the status of the delivery.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

/// One attempt that ended, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub started: Timestamp,
    pub duration_ms: u32,
    pub outcome: Outcome,
    /// When the event was first seen.
    pub seen: Timestamp,
    pub trigger: AttemptTrigger,
    /// Whether the delivery ended with it, and how.
    pub finish: Option<Finish>,
}

/// What is counted for one subscription.
#[derive(Clone, Debug)]
pub struct SubMeters {
    attempts: [u64; Outcome::ALL.len()],
    finished: [u64; Finish::ALL.len()],
    pub duration: Histogram,
    pub end_to_end: Histogram,
}

impl Default for SubMeters {
    fn default() -> Self {
        Self {
            attempts: [0; Outcome::ALL.len()],
            finished: [0; Finish::ALL.len()],
            duration: Histogram::new(ATTEMPT_S),
            end_to_end: Histogram::new(END_TO_END_S),
        }
    }
}

impl SubMeters {
    pub fn attempts(&self, outcome: Outcome) -> u64 {
        self.attempts[outcome as usize]
    }

    pub fn finished(&self, finish: Finish) -> u64 {
        self.finished[finish as usize]
    }
}

/// What is counted for the engine as a whole.
#[derive(Clone, Debug)]
pub struct Totals {
    /// From the first look at an event to the first attempt.
    pub queue_wait: Histogram,
    /// Commits of the state.
    pub write: Histogram,
    /// Attempts that somebody asked for.
    replayed: [u64; Outcome::ALL.len()],
    /// The last reload was refused.
    pub reload_failed: bool,
    /// How often durability was in doubt, by who found out.
    state_errors: BTreeMap<&'static str, u64>,
}

impl Default for Totals {
    fn default() -> Self {
        let (queue_wait, write) = (Histogram::new(WAIT_S), Histogram::new(WRITE_S));
        Self {
            queue_wait,
            write,
            replayed: [0; Outcome::ALL.len()],
            reload_failed: false,
            state_errors: BTreeMap::new(),
        }
    }
}

impl Totals {
    /// Attempts that somebody asked for and that ended like this.
    pub fn replayed(&self, outcome: Outcome) -> u64 {
        self.replayed[outcome as usize]
    }

    /// Counts that the line stops because of what `who` found.
    pub fn state_error(&mut self, who: &'static str) {
        *self.state_errors.entry(who).or_default() += 1;
    }

    /// How often it did.
    pub fn state_errors(&self, who: &str) -> u64 {
        self.state_errors.get(who).copied().unwrap_or(0)
    }
}

/// The counters. They begin at zero when the process starts and outlive an engine that is built anew within it.
#[derive(Debug, Default)]
pub struct Meters(Mutex<Counts>);

/// The counters, locked: hold them briefly.
#[derive(Debug, Default)]
pub struct Counts {
    subs: BTreeMap<SubId, SubMeters>,
    series: BTreeMap<SubId, Series>,
    pub totals: Totals,
}

impl Meters {
    pub fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Counts an attempt.
    pub fn attempted(&mut self, sub: SubId, ended: &Ended) {
        let length = Duration::from_millis(u64::from(ended.duration_ms));
        let at = ended.started.plus(length);
        let meters = self.subs.entry(sub).or_default();
        meters.attempts[ended.outcome as usize] += 1;
        meters.duration.observe(length.as_secs_f64());
        self.series.entry(sub).or_default().attempt(at, ended.outcome, ended.duration_ms);
        if ended.outcome == Outcome::Success {
            meters.end_to_end.observe(at.since(ended.seen).as_secs_f64());
        }
        if ended.trigger == AttemptTrigger::Manual {
            self.totals.replayed[ended.outcome as usize] += 1;
        }
        if ended.trigger == AttemptTrigger::First {
            self.totals.queue_wait.observe(ended.started.since(ended.seen).as_secs_f64());
        }
        if let Some(finish) = ended.finish {
            self.finished(sub, finish, 1, at);
        }
    }

    /// Counts deliveries that ended.
    pub fn finished(&mut self, sub: SubId, finish: Finish, count: u64, at: Timestamp) {
        self.subs.entry(sub).or_default().finished[finish as usize] += count;
        let series = self.series.entry(sub).or_default();
        match finish {
            Finish::Delivered => series.delivered(at),
            Finish::Failed | Finish::Unknown => series.failed(at),
            Finish::Cancelled | Finish::Expired | Finish::Dropped => {}
        }
    }

    /// Notes how many deliveries of each subscription wait, and forgets subscriptions that are not among them.
    pub fn look(&mut self, at: Timestamp, pending: &BTreeMap<SubId, u64>) {
        self.subs.retain(|sub, _| pending.contains_key(sub));
        self.series.retain(|sub, _| pending.contains_key(sub));
        for (sub, count) in pending {
            self.series.entry(*sub).or_default().pending(at, *count);
        }
        while self.series.values().map(Series::held).sum::<usize>() > POINTS_MAX {
            let largest = self.series.values_mut().max_by_key(|series| series.minutes_held());
            match largest.filter(|series| series.minutes_held() > 1) {
                Some(series) => series.thin_out(),
                None => break,
            }
        }
    }

    /// What happened lately to one subscription, if anything did.
    pub fn series(&self, sub: SubId) -> Option<&Series> {
        self.series.get(&sub)
    }

    /// A copy of the counters of these subscriptions, zeros where there are none.
    pub fn copy(&self, subs: &BTreeSet<SubId>) -> BTreeMap<SubId, SubMeters> {
        subs.iter().map(|sub| (*sub, self.subs.get(sub).cloned().unwrap_or_default())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_773_309_600_000);

    fn ended(outcome: Outcome, finish: Option<Finish>) -> Ended {
        let started = NOON.plus(Duration::from_millis(20));
        Ended { started, duration_ms: 30, outcome, seen: NOON, trigger: AttemptTrigger::First, finish }
    }

    #[test]
    fn attempts_and_ends_are_counted_apart() {
        let meters = Meters::default();
        let mut counts = meters.lock();
        counts.attempted(SubId(1), &ended(Outcome::Http5xx, None));
        counts.attempted(SubId(1), &ended(Outcome::Success, Some(Finish::Delivered)));
        counts.finished(SubId(1), Finish::Dropped, 3, NOON);
        let one = counts.copy(&[SubId(1)].into()).remove(&SubId(1)).unwrap();
        assert_eq!((one.attempts(Outcome::Http5xx), one.attempts(Outcome::Success)), (1, 1));
        assert_eq!((one.finished(Finish::Delivered), one.finished(Finish::Dropped)), (1, 3));
        assert_eq!((one.duration.count(), one.end_to_end.count()), (2, 1));
        assert_eq!(one.end_to_end.sum(), 0.05);
        assert_eq!(counts.totals.queue_wait.count(), 2);
    }

    #[test]
    fn who_is_gone_is_forgotten_and_points_are_bounded() {
        let mut counts = Counts::default();
        let pending: BTreeMap<_, _> = (1..=100).map(|sub| (SubId(sub), 0)).collect();
        for minute in 0..1700 {
            counts.look(NOON.plus(Duration::from_secs(60 * minute)), &pending);
        }
        let held: usize = counts.series.values().map(Series::held).sum();
        assert!(held <= POINTS_MAX, "{held}");
        counts.look(NOON, &[(SubId(7), 1)].into());
        assert_eq!(counts.series.keys().copied().collect::<Vec<_>>(), [SubId(7)]);
    }
}
