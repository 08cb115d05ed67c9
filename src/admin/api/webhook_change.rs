//! What comes of making, changing and trying a webhook.

use serde::{Deserialize, Serialize};

use super::text;
use super::webhook::Webhook;
use crate::model::{Outcome, Secret, Timestamp};

/// What is wrong with one member of a request, or remarkable about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFault {
    /// `#/events/1`; `#` is the request as a whole.
    pub pointer: String,
    /// As in diagnostics of the configuration.
    pub code: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Umbra's answer to a new webhook, with the secret that its prose promises.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookCreated {
    pub result: String,
    pub message: String,
    pub id: u32,
    /// Told here and never again; not there when the dialect does not sign.
    #[serde(default, with = "shown", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    pub webhook: Webhook,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<FieldFault>,
}

/// Umbra's answer to a change; `webhook` is not there when nothing was changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookChanged {
    pub result: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<FieldFault>,
}

/// The answer to a rotation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookRotated {
    pub result: String,
    pub message: String,
    pub id: u32,
    /// Told here and never again.
    #[serde(default, with = "shown", skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    pub secret_fingerprint: Option<String>,
    /// Until then the old secret signs too; `null` when the new one signs alone.
    #[serde(default, with = "text::option")]
    pub overlap_until: Option<Timestamp>,
}

/// What came of a test request. It is in no list and no counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebhookTested {
    /// `success`: the receiver answered 2xx.
    pub result: String,
    /// A sentence.
    pub message: String,
    pub delivery_id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    #[serde(with = "text")]
    pub outcome: Outcome,
    pub status_code: Option<u16>,
    pub duration_ms: u32,
    pub remote_address: Option<String>,
    pub request_bytes: u64,
    pub response_headers: Vec<(String, String)>,
    /// Its beginning.
    pub response_body: String,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// A secret in the one answer that tells it.
mod shown {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => to.serialize_some(secret.expose()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}
