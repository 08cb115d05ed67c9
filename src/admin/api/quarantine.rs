//! Lines that are not events, on the wire.

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::Timestamp;

/// One quarantined line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineEntry {
    /// `<segment>-<offset>`.
    pub id: String,
    #[serde(with = "text")]
    pub at: Timestamp,
    /// The producer's file name.
    pub source: String,
    pub segment: String,
    pub offset: u64,
    pub length: u64,
    /// A name of `RejectionReason`.
    pub reason: String,
    /// Where the fault is and what to do.
    pub detail: String,
}

/// One quarantined line with what it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineDetail {
    #[serde(flatten)]
    pub entry: QuarantineEntry,
    /// At most the first 64 KiB; bytes that are not UTF-8 are replaced.
    pub content: String,
    /// The same bytes, exact.
    pub content_base64: String,
    pub truncated: bool,
}

/// What a retry or a drop led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineAnswer {
    pub result: String,
    pub message: String,
    pub id: String,
    /// The event the line became, after a retry.
    pub event_id: Option<String>,
}
