//! The log of changes on the wire, and on disk: one JSON object per line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::text;
use crate::model::Timestamp;

/// One change that somebody made: who, what, when, and how it was before and after. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Counts up by one.
    pub id: u64,
    #[serde(with = "text")]
    pub at: Timestamp,
    /// A token's name (`acme/ops` for one of a tenant); `socket`, `token_file` or `engine`.
    pub by: String,
    /// Whose thing was changed; `null` for what belongs to no tenant.
    pub tenant: Option<String>,
    /// `POST`; `null` when it did not come through the API.
    pub method: Option<String>,
    /// `/v1/webhooks/{id}/pause`.
    pub route: Option<String>,
    /// `subscription default/erp`.
    pub thing: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// The `X-Request-Id` of the answer.
    pub request_id: Option<String>,
}
