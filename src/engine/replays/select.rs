//! Which deliveries a filter takes, and what they are like.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::list::{Entry, Snapshot};
use crate::admin::api::{ReplayDirection, ReplayPreview};
use crate::engine::running::Shared;
use crate::model::{Mode, Outcome, Rate, SubId, Subscription, Timestamp};
use crate::routing::Pattern;
use crate::store::{DeliveryFacts, ExceptionRow, ExceptionStatus, ViewError};

/// Deliveries in one job at most: a list of so many is some 30 MiB.
pub const MATCHED_MAX: usize = 1_000_000;

/// A filter, ready to run.
pub struct Wanted {
    pub subscriptions: Vec<(SubId, Arc<Subscription>)>,
    pub statuses: Vec<ExceptionStatus>,
    pub outcomes: Vec<Outcome>,
    pub pattern: Option<Pattern>,
    pub event_id: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Deliveries that go again as others already: those have fates of their own.
    pub replaced: HashSet<[u8; 16]>,
}

impl Wanted {
    /// Whether it takes a delivery by what it is about.
    pub fn takes_facts(&self, facts: &DeliveryFacts) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(&facts.event_type))
            && self.event_id.as_ref().is_none_or(|id| *id == facts.event_id)
            && self.since.is_none_or(|since| facts.seen >= since)
            && self.until.is_none_or(|until| facts.seen < until)
    }

    /// Whether it takes a delivery by the outcome of its last attempt.
    pub fn takes_outcome(&self, outcome: Option<Outcome>) -> bool {
        self.outcomes.is_empty() || outcome.is_some_and(|outcome| self.outcomes.contains(&outcome))
    }

    fn takes(&self, row: &ExceptionRow, now: Timestamp) -> bool {
        // One that is due goes out without being asked.
        let is_idle = row.status != ExceptionStatus::Parked || row.due > now;
        self.statuses.contains(&row.status)
            && is_idle
            && !self.replaced.contains(&row.facts.delivery)
            && self.takes_facts(&row.facts)
            && self.takes_outcome(row.last.as_ref().map(|last| last.outcome))
    }
}

/// The deliveries that were taken, and what they are like.
#[derive(Default)]
pub struct Selection {
    pub snapshot: Snapshot,
    pub preview: ReplayPreview,
    longest: Option<f64>,
}

impl Selection {
    /// Adds one.
    pub fn add(&mut self, entry: Entry, facts: &DeliveryFacts, subscription: &Subscription) {
        let preview = &mut self.preview;
        preview.count += 1;
        preview.oldest = Some(preview.oldest.map_or(facts.seen, |oldest| oldest.min(facts.seen)));
        preview.newest = Some(preview.newest.map_or(facts.seen, |newest| newest.max(facts.seen)));
        match preview.types.get_mut(facts.event_type.as_str()) {
            Some(count) => *count += 1,
            None => drop(preview.types.insert(facts.event_type.to_string(), 1)),
        }
        preview.at_most_once += u64::from(subscription.mode == Mode::AtMostOnce);
        if entry.was == ExceptionStatus::Delivered {
            self.snapshot.facts.insert(self.snapshot.entries.len() as u32, facts.clone());
        }
        self.snapshot.entries.push(entry);
    }

    /// The deliveries of one subscription are all added: their number, and how long they take at its own limit.
    pub fn close(&mut self, subscription: &Subscription, count: u64) {
        if count == 0 {
            return;
        }
        let name = format!("{}/{}", subscription.tenant(), subscription.name);
        *self.preview.subscriptions.entry(name).or_default() += count;
        if let Some(limit) = subscription.rate_limit {
            let seconds = takes(count, limit);
            self.longest = Some(self.longest.map_or(seconds, |longest| longest.max(seconds)));
        }
    }

    /// Reckons how long it takes at `rate` and at the subscriptions' own limits.
    pub fn estimate(&mut self, rate: Option<Rate>) {
        let by_rate = rate.map(|rate| takes(self.preview.count, rate));
        let seconds = by_rate.into_iter().chain(self.longest).reduce(f64::max);
        self.preview.estimate_s = seconds.map(|seconds| seconds.ceil() as u64);
    }
}

fn takes(count: u64, rate: Rate) -> f64 {
    count as f64 * Duration::as_secs_f64(&rate.per) / f64::from(rate.count.max(1))
}

/// Every delivery with a row that `wanted` takes; `None`: too many.
pub fn select(
    shared: &Shared,
    wanted: &Wanted,
    direction: ReplayDirection,
    now: Timestamp,
) -> Result<Option<Selection>, ViewError> {
    let mut selection = Selection::default();
    let subscriptions: BTreeMap<SubId, &Arc<Subscription>> =
        wanted.subscriptions.iter().map(|(sub, subscription)| (*sub, subscription)).collect();
    for (sub, subscription) in subscriptions {
        let first = selection.snapshot.entries.len();
        for row in shared.state.view.exceptions(sub) {
            let (key, row) = row?;
            if !wanted.takes(&row, now) {
                continue;
            }
            if selection.snapshot.entries.len() >= MATCHED_MAX {
                return Ok(None);
            }
            let entry = Entry { key, was: row.status, attempts: row.attempts, base: row.base };
            selection.add(entry, &row.facts, subscription);
        }
        // Rows lie by the number of their event, oldest first.
        if direction == ReplayDirection::Newest {
            selection.snapshot.entries[first..].reverse();
        }
        selection.close(subscription, (selection.snapshot.entries.len() - first) as u64);
    }
    Ok(Some(selection))
}
