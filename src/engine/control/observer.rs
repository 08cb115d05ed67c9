//! What is told while it happens: counters, and a log line and a live line per attempt.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::api::AttemptLine;
use crate::engine::committer::Observer;
use crate::engine::running::{Shared, lock};
use crate::metrics::{Ended, Finish};
use crate::model::{AttemptTrigger, DeliveryStatus, Outcome};
use crate::store::{End, Record, Verdict};

/// Looks at durable records. Counting takes one lock per commit; lines are built only when somebody reads them.
pub fn observer(shared: Arc<Shared>) -> Observer {
    Box::new(move |records, took| {
        count(&shared, records, took);
        let watched = shared.live.is_watched();
        for record in records {
            match record {
                Record::Attempted { .. } => tell(&shared, record, watched),
                Record::Paused { sub, reason, .. } => {
                    let configured = lock(&shared.routing).subscriptions.clone();
                    let subscription = configured.get(sub).map_or("", |found| &found.name);
                    tracing::warn!(subscription, reason, "subscription paused");
                }
                _ => {}
            }
        }
    })
}

fn count(shared: &Shared, records: &[Record], took: Duration) {
    if records.is_empty() {
        return;
    }
    let mut counts = shared.meters.lock();
    counts.totals.write.observe(took.as_secs_f64());
    for record in records {
        match record {
            Record::Attempted { key, facts, attempt, verdict, .. } => {
                let ended = Ended {
                    started: attempt.started,
                    duration_ms: attempt.duration_ms,
                    outcome: attempt.outcome,
                    seen: facts.seen,
                    is_first: attempt.trigger == AttemptTrigger::First,
                    finish: match verdict {
                        Verdict::Delivered => Some(Finish::Delivered),
                        Verdict::Retry { .. } => None,
                        Verdict::Failed => Some(Finish::Failed),
                        Verdict::Unknown => Some(Finish::Unknown),
                    },
                };
                counts.attempted(key.sub, &ended);
            }
            Record::Ended { key, end, at, .. } => {
                let finish = match end {
                    End::Cancelled | End::Superseded => Finish::Cancelled,
                    End::Expired => Finish::Expired,
                    End::Unknown => Finish::Unknown,
                };
                counts.finished(key.sub, finish, 1, *at);
            }
            Record::Dropped { sub, count, at } => counts.finished(*sub, Finish::Dropped, *count, *at),
            Record::Retriggered { .. } | Record::Replayed { .. } => counts.totals.replayed += 1,
            _ => {}
        }
    }
}

/// The status of a delivery after an attempt with this verdict.
pub fn status_after(verdict: Verdict) -> DeliveryStatus {
    match verdict {
        Verdict::Delivered => DeliveryStatus::Delivered,
        Verdict::Retry { .. } => DeliveryStatus::Pending,
        Verdict::Failed => DeliveryStatus::Failed,
        Verdict::Unknown => DeliveryStatus::Unknown,
    }
}

fn tell(shared: &Shared, record: &Record, watched: bool) {
    let Record::Attempted { key, facts, attempt, verdict, base, .. } = record else { return };
    if attempt.outcome == Outcome::Success && !watched {
        return;
    }
    let configured = lock(&shared.routing).subscriptions.clone();
    let Some(subscription) = configured.get(&key.sub) else { return };
    let delivery_id = uuid::Uuid::from_bytes(facts.delivery).to_string();
    let next_attempt_at = match verdict {
        Verdict::Retry { due, .. } => Some(*due),
        _ => None,
    };
    if attempt.outcome != Outcome::Success {
        tracing::info!(
            subscription = subscription.name,
            delivery_id,
            event_id = facts.event_id.as_str(),
            event = facts.event_type.as_str(),
            attempt = attempt.number,
            outcome = attempt.outcome.as_str(),
            status_code = attempt.exchange.status_code,
            duration_ms = attempt.duration_ms,
            next_attempt_at = next_attempt_at.map(|at| at.to_string()),
            error = attempt.exchange.error,
            "attempt failed"
        );
    }
    if watched {
        shared.live.announce(AttemptLine {
            at: attempt.started.plus(std::time::Duration::from_millis(u64::from(attempt.duration_ms))),
            delivery_id,
            event_id: facts.event_id.to_string(),
            event_type: facts.event_type.to_string(),
            tenant: subscription.tenant().to_owned(),
            subscription: subscription.name.clone(),
            attempt: attempt.number,
            max_attempts: base + 1 + u32::try_from(subscription.retry.waits.len()).unwrap_or(u32::MAX - 1 - base),
            status: status_after(*verdict),
            outcome: attempt.outcome,
            status_code: attempt.exchange.status_code,
            duration_ms: attempt.duration_ms,
            next_attempt_at,
            error: (!attempt.exchange.error.is_empty()).then(|| attempt.exchange.error.clone()),
        });
    }
}
