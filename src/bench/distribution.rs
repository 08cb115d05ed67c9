//! Many values in a few words. Pure.

/// The middle one; of an even number the upper of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value below which `share` of `sorted` lie.
pub fn quantile(sorted: &[u64], share: f64) -> f64 {
    sorted.get((sorted.len() as f64 * share) as usize).map_or(f64::NAN, |value| *value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_medians() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.99)), (51.0, 100.0));
        assert!(quantile(&[], 0.5).is_nan() && median(Vec::new()).is_nan());
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![2.0, 1.0])), (2.0, 2.0));
    }
}
