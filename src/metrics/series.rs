//! What happened lately, by minute and by hour: the charts' memory. Bounded by age, and empty stretches cost nothing.

use std::collections::VecDeque;

use crate::model::{Outcome, Timestamp};

pub const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Minutes are kept for a day, hours for ninety.
const MINUTES_MAX: i64 = 24 * 60;
const HOURS_MAX: i64 = 90 * 24;
/// Upper bounds of durations in milliseconds; what is longer counts as the last.
const DURATIONS_MS: [u32; 14] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 15_000, 30_000, 60_000];

/// Outcomes, grouped as a chart can show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Success,
    Http3xx,
    Http4xx,
    Http5xx,
    Timeout,
    Connection,
    Tls,
    Other,
}

impl Class {
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::Http3xx,
        Self::Http4xx,
        Self::Http5xx,
        Self::Timeout,
        Self::Connection,
        Self::Tls,
        Self::Other,
    ];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Http3xx => "http_3xx",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Tls => "tls",
            Self::Other => "other",
        }
    }

    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Http3xx => Self::Http3xx,
            Outcome::Http4xx | Outcome::Http410 | Outcome::Http429 => Self::Http4xx,
            Outcome::Http5xx => Self::Http5xx,
            Outcome::TimeoutConnect | Outcome::TimeoutResponse => Self::Timeout,
            Outcome::Dns | Outcome::Refused | Outcome::Reset | Outcome::Proxy | Outcome::BlockedAddress => {
                Self::Connection
            }
            Outcome::TlsUnknownCa | Outcome::TlsExpired | Outcome::TlsName | Outcome::TlsOther => Self::Tls,
            Outcome::OauthToken | Outcome::TooLarge | Outcome::InvalidResponse | Outcome::Unknown => Self::Other,
        }
    }
}

/// What happened in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Point {
    attempts: [u32; 8],
    pub delivered: u32,
    pub failed: u32,
    durations: [u32; 14],
    /// The most that waited at a time it was looked at; `None` when nobody looked.
    pub pending: Option<u64>,
}

impl Point {
    pub fn attempts(&self, class: Class) -> u32 {
        self.attempts[class as usize]
    }

    pub fn attempts_in_all(&self) -> u64 {
        self.attempts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The duration that `share` of the attempts did not exceed, as the upper bound of its step; `None` without attempts.
    pub fn duration_ms(&self, share: f64) -> Option<u32> {
        let total: u64 = self.durations.iter().map(|count| u64::from(*count)).sum();
        let mut left = (total as f64 * share).ceil().max(1.0) as u64;
        for (bound, count) in DURATIONS_MS.iter().zip(self.durations) {
            match left.checked_sub(u64::from(count)) {
                Some(0) | None => return (total > 0).then_some(*bound),
                Some(rest) => left = rest,
            }
        }
        None
    }

    /// Takes in what happened in another stretch, or elsewhere in the same one.
    pub fn absorb(&mut self, other: &Self) {
        let add = |own: &mut u32, more: &u32| *own = own.saturating_add(*more);
        self.attempts.iter_mut().zip(&other.attempts).for_each(|(own, more)| add(own, more));
        self.durations.iter_mut().zip(&other.durations).for_each(|(own, more)| add(own, more));
        add(&mut self.delivered, &other.delivered);
        add(&mut self.failed, &other.failed);
        self.pending = self.pending.max(other.pending);
    }

    fn attempt(&mut self, outcome: Outcome, duration_ms: u32) {
        self.attempts[Class::of(outcome) as usize] += 1;
        let step = DURATIONS_MS.partition_point(|bound| *bound < duration_ms).min(DURATIONS_MS.len() - 1);
        self.durations[step] += 1;
    }
}

/// Points of equal length, oldest first; those in which nothing happened are left out.
#[derive(Clone, Debug)]
struct Ring {
    step_ms: i64,
    points_max: i64,
    points: VecDeque<(i64, Point)>,
}

impl Ring {
    fn new(step_ms: i64, points_max: i64) -> Self {
        Self { step_ms, points_max, points: VecDeque::new() }
    }

    /// The point of `at`. One that is older than all that is kept is counted with the oldest.
    fn at(&mut self, at: Timestamp) -> &mut Point {
        let number = at.0.div_euclid(self.step_ms);
        let newest = self.points.back().map_or(number, |(newest, _)| number.max(*newest));
        while self.points.front().is_some_and(|(oldest, _)| *oldest <= newest - self.points_max) {
            self.points.pop_front();
        }
        let number = number.max(newest - self.points_max + 1);
        let place = self.points.partition_point(|(known, _)| *known < number);
        if self.points.get(place).is_none_or(|(known, _)| *known != number) {
            self.points.insert(place, (number, Point::default()));
        }
        &mut self.points[place].1
    }

    fn since(&self, since: Timestamp) -> impl Iterator<Item = (Timestamp, &Point)> {
        let first = since.0.div_euclid(self.step_ms);
        let found = self.points.iter().skip_while(move |(number, _)| *number < first);
        found.map(|(number, point)| (Timestamp(number * self.step_ms), point))
    }
}

/// The last day by minute and the last ninety days by hour.
#[derive(Clone, Debug)]
pub struct Series {
    minutes: Ring,
    hours: Ring,
}

impl Default for Series {
    fn default() -> Self {
        Self { minutes: Ring::new(MINUTE_MS, MINUTES_MAX), hours: Ring::new(HOUR_MS, HOURS_MAX) }
    }
}

impl Series {
    pub fn attempt(&mut self, at: Timestamp, outcome: Outcome, duration_ms: u32) {
        self.each(at, |point| point.attempt(outcome, duration_ms));
    }

    pub fn delivered(&mut self, at: Timestamp) {
        self.each(at, |point| point.delivered += 1);
    }

    pub fn failed(&mut self, at: Timestamp) {
        self.each(at, |point| point.failed += 1);
    }

    /// So many wait now.
    pub fn pending(&mut self, at: Timestamp, pending: u64) {
        self.each(at, |point| point.pending = point.pending.max(Some(pending)));
    }

    /// Points from `since` on, by minute or by hour.
    pub fn points(&self, since: Timestamp, by_minute: bool) -> impl Iterator<Item = (Timestamp, &Point)> {
        if by_minute { self.minutes.since(since) } else { self.hours.since(since) }
    }

    /// How many points are held.
    pub fn held(&self) -> usize {
        self.minutes.points.len() + self.hours.points.len()
    }

    pub fn minutes_held(&self) -> usize {
        self.minutes.points.len()
    }

    /// Lets the older half of the minutes go.
    pub fn thin_out(&mut self) {
        let half = self.minutes.points.len() / 2;
        self.minutes.points.drain(..half);
    }

    fn each(&mut self, at: Timestamp, change: impl Fn(&mut Point)) {
        change(self.minutes.at(at));
        change(self.hours.at(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_773_309_600_000);

    #[test]
    fn minutes_go_after_a_day_and_hours_stay() {
        let mut series = Series::default();
        for minute in 0..3 * MINUTES_MAX {
            series.attempt(Timestamp(NOON.0 + minute * MINUTE_MS), Outcome::Success, 7);
        }
        assert_eq!(series.points(Timestamp(0), true).count() as i64, MINUTES_MAX);
        assert_eq!(series.points(Timestamp(0), false).count(), 72);
        let hour = series.points(NOON, false).next().map(|(at, point)| (at, point.attempts(Class::Success)));
        assert_eq!(hour, Some((NOON, 60)));
        // A clock that was set back adds to the oldest minute and makes nothing grow.
        series.attempt(NOON, Outcome::Http5xx, 7);
        assert_eq!(series.points(Timestamp(0), true).count() as i64, MINUTES_MAX);
    }

    #[test]
    fn percentiles_are_steps() {
        let mut point = Point::default();
        assert_eq!(point.duration_ms(0.5), None);
        for duration_ms in [3, 4, 40, 40, 40, 40, 40, 40, 40, 900_000] {
            point.attempt(Outcome::Success, duration_ms);
        }
        assert_eq!((point.duration_ms(0.2), point.duration_ms(0.5)), (Some(5), Some(50)));
        assert_eq!(point.duration_ms(0.95), Some(60_000));
    }
}
