//! Retry schedules: the named ones and how a list is read.

use std::time::Duration;

use toml::de::DeValue;

use crate::model::RetrySchedule;

use super::codes;
use super::field::unknown_word;
use super::reader::Field;
use super::report::Report;

/// The example schedule of the Standard Webhooks specification 1.0.0 (section "Webhook delivery"), in seconds.
const STANDARD_WEBHOOKS: &[u64] = &[5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Carriyo's standard and extended cadence, in seconds.
const CARRIYO_STANDARD: &[u64] = &[60, 180, 300];
const CARRIYO_EXTENDED: &[u64] = &[60, 180, 300, 3600, 10_800, 18_000, 28_800, 46_800];

const NAMES: &[&str] = &["none", "default", "carriyo-standard", "carriyo-extended", "standard-webhooks"];
const MAX_WAIT: Duration = Duration::from_secs(30 * 86_400);
const MAX_WAITS: usize = 100;

/// The schedule that `name` stands for.
pub(super) fn preset(name: &str) -> Option<RetrySchedule> {
    let (waits_s, jitter) = match name {
        "none" => return Some(RetrySchedule::none()),
        "default" | "standard-webhooks" => (STANDARD_WEBHOOKS, 0.1),
        "carriyo-standard" => (CARRIYO_STANDARD, 0.0),
        "carriyo-extended" => (CARRIYO_EXTENDED, 0.0),
        _ => return None,
    };
    Some(RetrySchedule { waits: waits_s.iter().map(|wait| Duration::from_secs(*wait)).collect(), jitter })
}

/// Reads `retry`: a name, a list of waits (kept exactly), or `{ schedule = [...], jitter = 0.1 }`.
pub(super) fn read(field: &Field<'_>, report: &mut Report<'_>) -> Option<RetrySchedule> {
    match field.value {
        DeValue::String(name) => {
            let schedule = preset(name);
            if schedule.is_none() {
                unknown_word(field.at, name, "retry schedule", "a schedule", NAMES, report);
            }
            schedule
        }
        DeValue::Array(_) => Some(RetrySchedule { waits: waits(field, report)?, jitter: 0.0 }),
        DeValue::Table(_) => {
            let mut table = field.table("retry", report)?;
            let waits = table.require("schedule", "[\"5s\", \"1m\"]", report).and_then(|field| waits(&field, report));
            let jitter = table.take("jitter").map_or(Some(0.0), |field| jitter(&field, report));
            table.finish(report);
            Some(RetrySchedule { waits: waits?, jitter: jitter? })
        }
        _ => {
            field.wrong_type("a name or a list of durations", "\"default\", or [\"5s\", \"1m\"]", report);
            None
        }
    }
}

fn waits(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<Duration>> {
    let items = field.items(report)?;
    if items.len() > MAX_WAITS {
        let message = format!("`{}` has {} waits, and at most {MAX_WAITS} are possible", field.name, items.len());
        report.problem(codes::BAD_VALUE, field.at, message, "too long");
        return None;
    }
    let waits = items.iter().map(|item| item.duration(Duration::ZERO..=MAX_WAIT, report)).collect::<Vec<_>>();
    waits.into_iter().collect()
}

/// A share from 0 to 1.
fn jitter(field: &Field<'_>, report: &mut Report<'_>) -> Option<f64> {
    let share = match field.value {
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
        _ => None,
    };
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        let problem = report.problem(codes::BAD_VALUE, field.at, "`jitter` must be between 0.0 and 1.0", "not a share");
        problem.help("0.1 makes every wait up to 10 % longer or shorter");
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_schedule() {
        for name in NAMES {
            assert!(preset(name).is_some(), "{name}");
        }
        assert_eq!(preset("default"), preset("standard-webhooks"));
        assert_eq!(preset("never"), None);
    }

    #[test]
    fn schedules_are_the_documented_ones() {
        let hours = |schedule: RetrySchedule| schedule.waits.iter().map(Duration::as_secs).sum::<u64>() / 3600;
        assert_eq!(preset("carriyo-standard").unwrap().waits.len(), 3);
        assert_eq!(preset("carriyo-extended").unwrap().waits.len(), 8);
        assert_eq!(preset("default").unwrap().waits.len(), 9);
        assert_eq!(hours(preset("default").unwrap()), 75);
    }
}
