//! One attempt with the request that was made, on the wire.

use serde::{Deserialize, Serialize};

use super::AttemptDetail;

/// The answer to `GET /v1/deliveries/{id}/attempts/{n}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    pub delivery_id: String,
    #[serde(flatten)]
    pub attempt: AttemptDetail,
    /// `null` when the event is no longer kept, or its subscription is gone.
    pub request: Option<RequestView>,
}

/// A request as it was sent, or would be sent again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestView {
    pub method: String,
    pub url: String,
    /// In the order they are sent. Values that are secrets are `***`.
    pub headers: Vec<(String, String)>,
    /// Up to 64 KiB, bytes that are not UTF-8 replaced; `.../request.body` has the exact bytes.
    pub body: String,
    pub body_bytes: u64,
    pub body_truncated: bool,
    /// `rendered`: requests are not stored; this one is made anew from the kept event, this attempt's number and time, and
    /// the subscription as it is configured now.
    pub source: String,
}

/// Which bytes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyOf {
    Request,
    /// As far as it is kept.
    Response,
}
