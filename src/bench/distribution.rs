//! Many values in a few words. Pure.

use serde::Serialize;

/// The middle one; of an even number the upper of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` of `sorted` lie.
pub fn quantile(sorted: &[u64], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).map_or(f64::NAN, |value| *value as f64)
}

/// How long events took from append to receipt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    pub events: usize,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    pub buckets: Vec<Bucket>,
}

/// So many took less than `below_ms` and not less than the bucket before says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bucket {
    pub below_ms: f64,
    pub events: u64,
}

impl Latency {
    /// `None` without any.
    pub fn of(sorted_ns: &[u64]) -> Option<Self> {
        let max_ms = *sorted_ns.last()? as f64 / 1e6;
        let at = |share| quantile(sorted_ns, share) / 1e6;
        Some(Self {
            events: sorted_ns.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms,
            buckets: buckets(sorted_ns),
        })
    }
}

/// Bounds of 1, 2 and 5 in every power of ten, from the one that holds the smallest value to the one that holds the
/// largest.
fn buckets(sorted_ns: &[u64]) -> Vec<Bucket> {
    let bounds_ns = (3..12).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let (mut buckets, mut before) = (Vec::new(), 0);
    for bound_ns in bounds_ns {
        let below = sorted_ns.partition_point(|ns| *ns < bound_ns);
        if below > 0 {
            buckets.push(Bucket { below_ms: bound_ns as f64 / 1e6, events: (below - before) as u64 });
        }
        before = below;
        if below == sorted_ns.len() {
            break;
        }
    }
    buckets
}

/// The rate around one moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Since the beginning, at the end of what this point covers.
    pub seconds: f64,
    pub per_second: f64,
}

/// Counts at times in nanoseconds, one after the other, as at most `points_max` rates.
pub(super) fn rates(samples: &[(u64, u64)], points_max: usize) -> Vec<Point> {
    let Some((&(began_ns, _), rest)) = samples.split_first() else { return Vec::new() };
    let every = rest.len().div_ceil(points_max.max(1)).max(1);
    let kept: Vec<(u64, u64)> = samples.iter().copied().step_by(every).collect();
    let point = |pair: &[(u64, u64)]| {
        let ((from_ns, from), (to_ns, to)) = (pair[0], pair[1]);
        let per_second = to.saturating_sub(from) as f64 * 1e9 / to_ns.saturating_sub(from_ns) as f64;
        Point { seconds: to_ns.saturating_sub(began_ns) as f64 / 1e9, per_second }
    };
    kept.windows(2).filter(|pair| pair[1].0 > pair[0].0).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn quantiles_and_medians() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.99)), (51.0, 100.0));
        assert!(quantile(&[], 0.5).is_nan() && median(Vec::new()).is_nan());
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![2.0, 1.0])), (2.0, 2.0));
    }

    #[test]
    fn every_event_is_in_one_bucket() {
        let sorted = [MS / 2, MS, MS, 3 * MS, 40 * MS];
        let latency = Latency::of(&sorted).unwrap();
        let bucket = |below_ms, events| Bucket { below_ms, events };
        let expected =
            [bucket(1.0, 1), bucket(2.0, 2), bucket(5.0, 1), bucket(10.0, 0), bucket(20.0, 0), bucket(50.0, 1)];
        assert_eq!(latency.buckets, expected);
        assert_eq!((latency.events, latency.p50_ms, latency.max_ms), (5, 1.0, 40.0));
        assert_eq!(Latency::of(&[]), None);
    }

    #[test]
    fn rates_are_between_samples_and_not_too_many() {
        let samples: Vec<(u64, u64)> = (0..=10).map(|at| (7 + at * 100 * MS, at * 50)).collect();
        let rates = rates(&samples, 5);
        assert_eq!(rates.len(), 5);
        assert!(rates.iter().all(|point| (point.per_second - 500.0).abs() < 1e-6), "{rates:?}");
        assert!((rates[4].seconds - 1.0).abs() < 1e-9);
        assert_eq!(super::rates(&[], 5), []);
        assert_eq!(super::rates(&[(1, 1), (1, 2)], 5), []);
    }
}
