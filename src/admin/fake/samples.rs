//! What the fake engine has.

use serde_json::value::RawValue;

use super::{DELIVERY, NOON};
use crate::admin::api::*;
use crate::model::{DeliveryStatus, Outcome, Timestamp};

pub fn webhook(name: &str, state: &str) -> Webhook {
    Webhook {
        id: 1,
        url: "https://erp.example/hooks/carbon?token=t".into(),
        events: vec!["invoice.*".into(), "payment.created".into()],
        is_active: true,
        date_created: NOON,
        name: name.into(),
        tenant: "default".into(),
        source: "file".into(),
        source_ref: Some("config.toml:10".into()),
        mode: "at-least-once".into(),
        dialect: "umbra".into(),
        condition: None,
        state: state.into(),
        state_reason: (state != "active").then(|| "TLS: unknown authority \"Plant Root CA 2\"".into()),
        secret_fingerprint: Some("3f9a".into()),
        certificate_not_after: Some(Timestamp(NOON.0 + 12 * 86_400_000)),
        counters: Counters {
            success_count: 88_211,
            error_count: 4,
            last_success_at: Some(Timestamp(NOON.0 - 2_000)),
            last_error_at: Some(Timestamp(NOON.0 - 10_800_000)),
            last_error: Some("503 Service Unavailable".into()),
            pending: 14,
            oldest_due_age_s: 0,
        },
        settings: WebhookSettings { version: "1".into(), ..WebhookSettings::default() },
    }
}

pub fn delivery() -> Delivery {
    Delivery {
        id: DELIVERY.into(),
        event_id: "evt_1".into(),
        event_type: "payment.created".into(),
        tenant: "default".into(),
        subscription: "erp".into(),
        status: DeliveryStatus::Pending,
        outcome: Some(Outcome::Http5xx),
        status_code: Some(503),
        attempts: 1,
        created_at: Timestamp(NOON.0 - 6_000),
        last_attempt_at: Some(Timestamp(NOON.0 - 5_000)),
        next_attempt_at: Some(Timestamp(NOON.0 + 5_000)),
        duration_ms: Some(112),
    }
}

pub fn attempt_line(status: DeliveryStatus) -> AttemptLine {
    let delivered = status == DeliveryStatus::Delivered;
    AttemptLine {
        at: NOON,
        delivery_id: DELIVERY.into(),
        event_id: "evt_1".into(),
        event_type: "payment.created".into(),
        tenant: "default".into(),
        subscription: "erp".into(),
        attempt: 1,
        max_attempts: 10,
        status,
        outcome: if delivered { Outcome::Success } else { Outcome::Http5xx },
        status_code: Some(if delivered { 200 } else { 503 }),
        duration_ms: 38,
        next_attempt_at: (!delivered).then_some(Timestamp(NOON.0 + 5_000)),
        error: None,
    }
}

pub fn event_record() -> EventRecord {
    EventRecord {
        id: "evt_1".into(),
        event_type: "payment.created".into(),
        tenant: "default".into(),
        time: "2026-03-12T10:00:00Z".into(),
        key: Some("p-1".into()),
        operation: "INSERT".into(),
        seq: 7,
        segment: "01KKGMZ7G00000000000000000".into(),
        offset: 8812,
        matched: 1,
        data: RawValue::from_string(r#"{"amount":9007199254740993}"#.into()).unwrap(),
        old: None,
        delivery: None,
        lost: false,
    }
}

pub(super) fn rows(delivery: Option<DeliveryRef>) -> Vec<MatchRow> {
    let row = |id, name: &str, matched, reason: &str, delivery| MatchRow {
        subscription_id: id,
        subscription: name.into(),
        tenant: "default".into(),
        matched,
        reason: reason.into(),
        delivery,
    };
    vec![
        row(1, "erp", true, "payment.created matches", delivery),
        row(2, "oms", false, "no pattern matches payment.created", None),
    ]
}

pub(super) fn quarantine_entry() -> QuarantineEntry {
    QuarantineEntry {
        id: "01KKGMZ7G00000000000000000-77".into(),
        at: NOON,
        source: "orders.ndjson".into(),
        segment: "01KKGMZ7G00000000000000000".into(),
        offset: 77,
        length: 9,
        reason: "invalid_json".into(),
        detail: "expected `:` at column 5".into(),
    }
}
