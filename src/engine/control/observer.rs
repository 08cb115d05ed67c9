//! What is told while it happens: a log line and a live line per attempt.

use std::sync::Arc;

use crate::admin::api::AttemptLine;
use crate::engine::committer::Observer;
use crate::engine::running::{Shared, lock};
use crate::model::{DeliveryStatus, Outcome};
use crate::store::{Record, Verdict};

/// Looks at durable records. Nothing is built when nobody watches.
pub fn observer(shared: Arc<Shared>) -> Observer {
    Box::new(move |records| {
        shared.jobs.observe(records, || shared.state.ledger().lsn);
        let watched = shared.live.is_watched();
        let taken = records.iter().any(|record| matches!(record, Record::Taken { .. }));
        shared.live.moved(taken, !records.is_empty());
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
