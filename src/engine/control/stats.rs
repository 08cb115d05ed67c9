//! Series for charts, added up from the memory of each subscription.

use std::collections::BTreeMap;
use std::time::Duration;

use super::subscriptions;
use crate::admin::api::{Stats, StatsMetric, StatsPoint};
use crate::admin::{Caller, ControlError, StatsRequest};
use crate::engine::running::{Shared, lock};
use crate::metrics::{Class, HOUR_MS, Point};
use crate::model::{SubId, Timestamp};

/// What is asked for without a word about it.
const LATELY: Duration = Duration::from_secs(3600);
/// So long minutes are remembered.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Points that are aimed at when no step is given.
const POINTS: u64 = 120;

pub fn stats(shared: &Shared, caller: &Caller, request: &StatsRequest) -> Result<Stats, ControlError> {
    let subs: Vec<SubId> = match &request.subscription {
        None => {
            let configured = lock(&shared.routing).subscriptions.clone();
            let seen = configured.iter().filter(|(_, each)| caller.sees(each.tenant()));
            seen.map(|(sub, _)| *sub).collect()
        }
        Some(key) => {
            vec![subscriptions::find(shared, caller, key)?.0]
        }
    };
    let now = shared.clock.now();
    let since = request.since.unwrap_or(now.minus(LATELY));
    let by_minute = now.since(since) <= DAY && request.step_s.is_none_or(|step_s| step_s < 3600);
    let step_s = step(request.step_s, now.since(since), by_minute);
    let mut sums: BTreeMap<i64, Point> = BTreeMap::new();
    let counts = shared.meters.lock();
    for series in subs.iter().filter_map(|sub| counts.series(*sub)) {
        for (at, point) in gather(series.points(since, by_minute), step_s) {
            let sum = sums.entry(at).or_default();
            let pending = match (sum.pending, point.pending) {
                (Some(one), Some(other)) => Some(one + other),
                (one, other) => one.or(other),
            };
            sum.absorb(&point);
            sum.pending = pending;
        }
    }
    drop(counts);
    let data = sums.into_iter().map(|(at, point)| shown(Timestamp(at), &point, request.metric)).collect();
    Ok(Stats { metric: request.metric, since, step_s, data })
}

/// Whole minutes or hours: as asked, or so that a chart is filled.
fn step(asked: Option<u64>, span: Duration, by_minute: bool) -> u64 {
    let unit_s = if by_minute { 60 } else { (HOUR_MS / 1000).unsigned_abs() };
    asked.unwrap_or(span.as_secs() / POINTS).max(1).next_multiple_of(unit_s)
}

/// The points of one subscription in steps.
fn gather<'a>(points: impl Iterator<Item = (Timestamp, &'a Point)>, step_s: u64) -> BTreeMap<i64, Point> {
    let step_ms = i64::try_from(step_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let mut steps: BTreeMap<i64, Point> = BTreeMap::new();
    for (at, point) in points {
        steps.entry(at.0.div_euclid(step_ms) * step_ms).or_default().absorb(point);
    }
    steps
}

fn shown(at: Timestamp, point: &Point, metric: Option<StatsMetric>) -> StatsPoint {
    let wants = |asked| metric.is_none_or(|metric| metric == asked);
    let mut shown = StatsPoint { at, ..StatsPoint::default() };
    if wants(StatsMetric::Attempts) {
        let by_class = Class::ALL.map(|class| (class.as_str().to_owned(), point.attempts(class)));
        shown.attempts = Some(by_class.into());
    }
    if wants(StatsMetric::Deliveries) {
        (shown.delivered, shown.failed) = (Some(point.delivered), Some(point.failed));
    }
    if wants(StatsMetric::Durations) {
        (shown.p50_ms, shown.p95_ms) = (point.duration_ms(0.5), point.duration_ms(0.95));
    }
    if wants(StatsMetric::Pending) {
        shown.pending = point.pending;
    }
    shown
}

/// Notes what waits, once a minute, for the charts; what is counted of subscriptions that are gone goes.
pub(in crate::engine) fn look(shared: &Shared) {
    let configured = lock(&shared.routing).subscriptions.clone();
    let pending = {
        let ledger = shared.state.ledger();
        let pending = |sub: &SubId| ledger.lanes.get(sub).map_or(0, |lane| lane.books.pending());
        configured.keys().map(|sub| (*sub, pending(sub))).collect()
    };
    shared.meters.lock().look(shared.clock.now(), &pending);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MINUTE_MS, Series};
    use crate::model::Outcome;

    const NOON: Timestamp = Timestamp(1_773_309_600_000);

    #[test]
    fn steps_are_whole_units_and_fill_a_chart() {
        assert_eq!(step(None, Duration::from_secs(3600), true), 60);
        assert_eq!(step(None, DAY, true), 720);
        assert_eq!(step(Some(90), DAY, true), 120);
        assert_eq!(step(Some(60), 30 * DAY, false), 3600);
    }

    #[test]
    fn minutes_add_up_to_steps() {
        let mut series = Series::default();
        for minute in 0..6 {
            let at = Timestamp(NOON.0 + minute * MINUTE_MS);
            series.attempt(at, if minute == 0 { Outcome::Dns } else { Outcome::Success }, 40);
            series.pending(at, minute.unsigned_abs());
        }
        let steps = gather(series.points(NOON, true), 180);
        assert_eq!(steps.keys().copied().collect::<Vec<_>>(), [NOON.0, NOON.0 + 180_000]);
        let point = shown(NOON, &steps[&NOON.0], None);
        let attempts = point.attempts.unwrap();
        assert_eq!((attempts["success"], attempts["connection"], attempts["tls"]), (2, 1, 0));
        assert_eq!((point.pending, point.p50_ms), (Some(2), Some(50)));
        assert_eq!(shown(NOON, &steps[&NOON.0], Some(StatsMetric::Pending)).attempts, None);
    }
}
