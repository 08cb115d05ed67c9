//! Deliveries, their attempts, live attempt lines and replays on the wire.

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::{Attempt, AttemptTrigger, DeliveryStatus, Outcome, Timestamp};

/// One row of the delivery log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub id: String,
    pub event_id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub tenant: String,
    pub subscription: String,
    #[serde(with = "text")]
    pub status: DeliveryStatus,
    /// Of the last attempt.
    #[serde(default, with = "text::option")]
    pub outcome: Option<Outcome>,
    pub status_code: Option<u16>,
    /// Attempts made so far.
    pub attempts: u32,
    #[serde(with = "text")]
    pub created_at: Timestamp,
    #[serde(default, with = "text::option")]
    pub last_attempt_at: Option<Timestamp>,
    #[serde(default, with = "text::option")]
    pub next_attempt_at: Option<Timestamp>,
    pub duration_ms: Option<u32>,
}

/// One page of the delivery log, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryPage {
    pub data: Vec<Delivery>,
    /// Opaque; give it back as `cursor` to go on. `null` at the end.
    pub next_cursor: Option<String>,
    pub has_more: bool,
    /// The history is long and little of it fits the filter: the page ends before it is full, and `next_cursor` goes on.
    #[serde(default)]
    pub partial: bool,
}

/// One delivery with everything that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: Delivery,
    pub url: String,
    pub mode: String,
    pub dialect: String,
    /// Attempts the schedule allows in all.
    pub max_attempts: u32,
    /// Where the event lies in the log.
    pub segment: String,
    pub offset: u64,
    /// One sentence: why it stands where it stands.
    pub why: String,
    /// Oldest first.
    pub attempt_log: Vec<AttemptDetail>,
}

/// One attempt and the exchange it led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptDetail {
    pub number: u32,
    #[serde(with = "text")]
    pub started_at: Timestamp,
    pub duration_ms: u32,
    #[serde(with = "text")]
    pub trigger: AttemptTrigger,
    #[serde(with = "text")]
    pub outcome: Outcome,
    pub status_code: Option<u16>,
    /// Name and value, in the order they came.
    pub response_headers: Vec<(String, String)>,
    /// At most the first kilobyte; bytes that are not UTF-8 are replaced.
    pub response_body: String,
    /// A sentence, on failure.
    pub error: Option<String>,
    pub request_bytes: u64,
    pub remote_address: String,
}

impl From<&Attempt> for AttemptDetail {
    fn from(attempt: &Attempt) -> Self {
        let exchange = &attempt.exchange;
        Self {
            number: attempt.number,
            started_at: attempt.started,
            duration_ms: attempt.duration_ms,
            trigger: attempt.trigger,
            outcome: attempt.outcome,
            status_code: exchange.status_code,
            response_headers: exchange.response_headers.clone(),
            response_body: String::from_utf8_lossy(&exchange.response_body).into_owned(),
            error: (!exchange.error.is_empty()).then(|| exchange.error.clone()),
            request_bytes: exchange.request_bytes,
            remote_address: exchange.remote_address.clone(),
        }
    }
}

/// One finished attempt, as the live stream tells it (`event: attempt`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptLine {
    /// When the attempt ended.
    #[serde(with = "text")]
    pub at: Timestamp,
    pub delivery_id: String,
    pub event_id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub tenant: String,
    pub subscription: String,
    pub attempt: u32,
    pub max_attempts: u32,
    /// Of the delivery, after this attempt.
    #[serde(with = "text")]
    pub status: DeliveryStatus,
    #[serde(with = "text")]
    pub outcome: Outcome,
    pub status_code: Option<u16>,
    pub duration_ms: u32,
    #[serde(default, with = "text::option")]
    pub next_attempt_at: Option<Timestamp>,
    pub error: Option<String>,
}

/// Attempts that a slow reader of the stream did not get (`event: gap`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub missed: u64,
}

/// What `POST /v1/replays` takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Ids, or prefixes of at least six characters that fit one delivery.
    pub ids: Vec<String>,
    /// The caller accepts that a receiver may see a delivery twice whose fate is not known.
    #[serde(default)]
    pub consent: bool,
}

/// What became of one id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayRow {
    /// As it was asked for.
    pub id: String,
    pub accepted: bool,
    /// `null` when accepted, else `not_found`, `ambiguous`, `in_flight`, `consent_required` or `disabled`.
    pub reason: Option<String>,
    /// A sentence for a person.
    pub message: String,
    /// The delivery that will be sent: the same id, or a new one when the old delivery was settled for good.
    pub delivery_id: Option<String>,
}

/// The answer to a replay, one row per id in the order of the request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replays {
    pub result: String,
    pub message: String,
    pub data: Vec<ReplayRow>,
}
