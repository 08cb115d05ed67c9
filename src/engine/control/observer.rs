//! What is told while it happens: counters, and a log line and a live line per attempt.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::admin::api::AttemptLine;
use crate::engine::committer::Observer;
use crate::engine::running::{Shared, lock};
use crate::metrics::{Ended, Finish};
use crate::model::{DeliveryStatus, Outcome, Subscription, hex};
use crate::store::{End, Record, Verdict};

/// Looks at durable records. Counting takes one lock per commit; lines are built only when somebody reads them.
pub fn observer(shared: Arc<Shared>) -> Observer {
    Box::new(move |records, took| {
        shared.jobs.observe(records, || shared.state.ledger().lsn);
        count(&shared, records, took);
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
                    trigger: attempt.trigger,
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
    let is_success = attempt.outcome == Outcome::Success;
    if is_success && !watched && !tracing::enabled!(tracing::Level::DEBUG) && !shared.config().logging.all_attempts {
        return;
    }
    let configured = lock(&shared.routing).subscriptions.clone();
    let Some(subscription) = configured.get(&key.sub) else { return };
    let next_attempt_at = match verdict {
        Verdict::Retry { due, .. } => Some(*due),
        _ => None,
    };
    if is_success || lock(&shared.repeats).tells((key.sub, attempt.outcome), shared.clock.monotonic()) {
        log(shared, subscription, record);
    }
    if watched {
        shared.live.announce(AttemptLine {
            at: attempt.started.plus(Duration::from_millis(u64::from(attempt.duration_ms))),
            delivery_id: uuid::Uuid::from_bytes(facts.delivery).to_string(),
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

/// One attempt as a line of the log. Those that delivered are for `debug`, unless all are wanted.
fn log(shared: &Shared, subscription: &Subscription, record: &Record) {
    let Record::Attempted { facts, attempt, verdict, .. } = record else { return };
    let logging = shared.config().logging;
    let delivery_id = uuid::Uuid::from_bytes(facts.delivery).to_string();
    let endpoint = endpoint(&subscription.url, logging.full_urls);
    let next_attempt_at = match verdict {
        Verdict::Retry { due, .. } => Some(due.to_string()),
        _ => None,
    };
    macro_rules! line {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                tenant = subscription.tenant(),
                subscription = subscription.name,
                delivery_id,
                event_id = facts.event_id.as_str(),
                event = facts.event_type.as_str(),
                attempt = attempt.number,
                outcome = attempt.outcome.as_str(),
                status_code = attempt.exchange.status_code,
                duration_ms = attempt.duration_ms,
                next_attempt_at,
                endpoint,
                error = (!attempt.exchange.error.is_empty()).then_some(attempt.exchange.error.as_str()),
                $text
            )
        };
    }
    match (attempt.outcome == Outcome::Success, logging.all_attempts) {
        (true, true) => line!(info, "attempt delivered"),
        (true, false) => line!(debug, "attempt delivered"),
        (false, _) => line!(info, "attempt failed"),
    }
}

/// The endpoint without what may be a secret in its path or query: host, and a digest that tells two of them apart.
fn endpoint(url: &str, is_full: bool) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return String::new() };
    if is_full {
        // An http URL takes both.
        let _ = parsed.set_username("").and_then(|()| parsed.set_password(None));
        return parsed.to_string();
    }
    let digest = Sha256::digest(&parsed[url::Position::BeforePath..]);
    let digest = hex(&digest[..4]);
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}#{digest}", parsed.host_str().unwrap_or_default())
}

/// Says how many lines of a kind were left out, once no more of them are counted together.
pub(in crate::engine) fn sum_up(shared: &Shared) {
    for ((sub, outcome), count) in lock(&shared.repeats).over(shared.clock.monotonic()) {
        let configured = lock(&shared.routing).subscriptions.clone();
        let subscription = configured.get(&sub).map_or("", |found| &found.name);
        tracing::info!(
            subscription,
            outcome = outcome.as_str(),
            count,
            "left out similar lines of attempts that failed"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_without_its_path() {
        let one = endpoint("https://u:p@erp.example:8443/hooks/t0ken?x=1", false);
        assert!(one.starts_with("erp.example:8443#") && !one.contains("t0ken"), "{one}");
        assert_ne!(one, endpoint("https://erp.example:8443/hooks/other", false));
        assert_eq!(endpoint("https://u:p@erp.example/a?b", true), "https://erp.example/a?b");
    }
}
