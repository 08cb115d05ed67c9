//! Events, and why each subscription did or did not take them, on the wire. `data` and `old` stay the producer's bytes.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::text;
use crate::model::DeliveryStatus;

/// One event as it lies in the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    pub id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub tenant: String,
    /// RFC 3339, as the producer wrote it.
    pub time: String,
    pub key: Option<String>,
    pub operation: String,
    pub seq: u64,
    pub segment: String,
    pub offset: u64,
    /// Subscriptions that took it.
    pub matched: u32,
    pub data: Box<RawValue>,
    #[serde(default)]
    pub old: Option<Box<RawValue>>,
    /// In a poll of one subscription: what became of it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryRef>,
    /// Its line is no longer kept: `data` is `null`, and this is all that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// Events in log order, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventPage {
    pub data: Vec<EventRecord>,
    /// Always there, even after an empty page, so that a consumer keeps one value.
    pub next_cursor: String,
    pub has_more: bool,
}

/// One event and one row per subscription of its tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventDetail {
    pub event: EventRecord,
    pub subscriptions: Vec<MatchRow>,
}

/// What a dry run of the filters says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchReport {
    pub subscriptions: Vec<MatchRow>,
}

/// Whether one subscription takes an event, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchRow {
    pub subscription_id: u32,
    pub subscription: String,
    pub tenant: String,
    pub matched: bool,
    /// `invoice.* matches`, `no pattern matches invoice.paid`, `where is false: data.total > 1000.0`.
    pub reason: String,
    /// The delivery this match made; never there in a dry run.
    pub delivery: Option<DeliveryRef>,
}

/// A delivery, named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRef {
    pub id: String,
    #[serde(with = "text")]
    pub status: DeliveryStatus,
}
