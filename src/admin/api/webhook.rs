//! A subscription on the wire: Umbra's members as its document shows them, and ours beside them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::Timestamp;

/// One subscription. `id` to `dateCreated` are Umbra's; the rest is added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    pub id: u32,
    /// As configured, for those who may change it. It may hold a token (Carbon), so others see where it leads only.
    pub url: String,
    pub events: Vec<String>,
    pub is_active: bool,
    #[serde(rename = "dateCreated", with = "text")]
    pub date_created: Timestamp,
    pub name: String,
    pub tenant: String,
    /// `file`: defined in the configuration; `api`: made over the API.
    pub source: String,
    /// `path:line` of the definition in a file.
    pub source_ref: Option<String>,
    pub mode: String,
    pub dialect: String,
    /// The CEL condition, if there is one.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// `active`, `failing` (the breaker is open), `paused` (events queue) or `disabled` (they do not).
    pub state: String,
    /// A sentence, for every state but `active`.
    pub state_reason: Option<String>,
    /// Four hex digits of SHA-256 of the newest secret.
    pub secret_fingerprint: Option<String>,
    /// When the endpoint's TLS certificate ends, as accepted last; `null` before the first connection, and without TLS.
    #[serde(default, with = "text::option")]
    pub certificate_not_after: Option<Timestamp>,
    pub counters: Counters,
    #[serde(flatten)]
    pub settings: WebhookSettings,
}

/// The rest of what is set, spelled as it can be given. Of what is secret, four hex digits of its SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// Changes whenever a setting does: the `ETag`.
    #[serde(default)]
    pub version: String,
    /// Of every secret that signs, newest first.
    #[serde(default)]
    pub secret_fingerprints: Vec<String>,
    /// Until then the older of them sign.
    #[serde(default, with = "text::option")]
    pub secret_overlap_until: Option<Timestamp>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub oauth2: Option<OAuth2Shown>,
    #[serde(default)]
    pub timeout: String,
    /// The waits between attempts.
    #[serde(default)]
    pub retry: Vec<String>,
    #[serde(default)]
    pub max_in_flight: u32,
    #[serde(default)]
    pub rate_limit: Option<String>,
    #[serde(default)]
    pub order_by: Option<String>,
    #[serde(default)]
    pub supersede: bool,
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// An OAuth2 client, without its secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OAuth2Shown {
    pub client_id: String,
    pub scope: Option<String>,
    pub client_secret_fingerprint: String,
}

/// Carbon's four counters, which count attempts, and what still waits. They survive a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    pub success_count: u64,
    pub error_count: u64,
    #[serde(default, with = "text::option")]
    pub last_success_at: Option<Timestamp>,
    #[serde(default, with = "text::option")]
    pub last_error_at: Option<Timestamp>,
    /// What the last error was, in words: `503 Service Unavailable`.
    pub last_error: Option<String>,
    /// Deliveries that are not settled.
    pub pending: u64,
    /// Seconds that the delivery has waited that has waited longest for an attempt that could be made: matched and not
    /// attempted, or a retry that is due. 0 while the lane is paused or its breaker is open. As a metric:
    /// `spoolhook_oldest_pending_event_age_seconds`.
    #[serde(default)]
    pub oldest_due_age_s: u64,
}

/// Umbra's answer to a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookList {
    pub result: String,
    pub webhooks: Vec<Webhook>,
}

/// Umbra's answer about one webhook; `message` after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookAnswer {
    pub result: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub webhook: Webhook,
}
