//! Replay jobs on the wire.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ReplayRow, text};
use crate::model::Timestamp;

/// What `POST /v1/replays` takes: ids, a filter, or both (then ids that the filter does not take are refused).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayOrder {
    /// Ids, or prefixes of at least six characters that fit one delivery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// `failed` (as without it), `unknown` or `pending`; several with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A type pattern: `*` is one segment, `**` any number.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Of the last attempt; several with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// By creation: at or after, and before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// `20/s`, `100/m`; without it as fast as the subscriptions take them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    #[serde(default)]
    pub order: ReplayDirection,
    /// Count, and send nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Refuse when another number of deliveries matches.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    pub expect_count: Option<u64>,
    /// The caller accepts that receivers of at-most-once deliveries may get them a second time.
    #[serde(default)]
    pub consent: bool,
    /// `carriyo`: its bounds, and its counts in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
}

/// A whole number; JSON says 312.0 of the same one.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    let text = number.to_string();
    let whole = text.strip_suffix(".0").unwrap_or(&text).parse().ok();
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("{text} is no number of deliveries")))
}

impl ReplayOrder {
    /// Whether it names anything beside ids.
    pub fn has_filter(&self) -> bool {
        [&self.subscription, &self.status, &self.event_type, &self.tenant]
            .into_iter()
            .chain([&self.outcome, &self.event_id, &self.since, &self.until])
            .any(Option::is_some)
    }
}

/// Which of a subscription's deliveries go first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayDirection {
    #[default]
    Oldest,
    Newest,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplayStatus {
    /// Something is still to be sent, or sent and without its end.
    Running,
    Done,
    /// Nothing more is sent; what was sent goes on to its end.
    Cancelled,
}

impl ReplayStatus {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a job was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFilter {
    /// So many were named by their ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
}

impl From<&ReplayOrder> for ReplayFilter {
    fn from(order: &ReplayOrder) -> Self {
        let default_status = || order.ids.is_empty().then(|| "failed".to_owned());
        Self {
            ids: (!order.ids.is_empty()).then_some(order.ids.len() as u64),
            subscription: order.subscription.clone(),
            status: order.status.clone().or_else(default_status),
            event_type: order.event_type.clone(),
            tenant: order.tenant.clone(),
            outcome: order.outcome.clone(),
            event_id: order.event_id.clone(),
            since: order.since.clone(),
            until: order.until.clone(),
            preset: order.preset.clone(),
        }
    }
}

/// A replay of many deliveries. `matched = delivered + failed + skipped + cancelled + pending`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayJob {
    pub id: String,
    pub status: ReplayStatus,
    pub filter: ReplayFilter,
    pub rate: Option<String>,
    pub order: ReplayDirection,
    #[serde(with = "text")]
    pub created_at: Timestamp,
    /// The token's name, or `socket`.
    pub created_by: String,
    pub matched: u64,
    /// Handed to their subscriptions so far.
    pub sent: u64,
    pub delivered: u64,
    /// Sent, and ended without success.
    pub failed: u64,
    /// Not sent yet, or sent and tried again by schedule.
    pub pending: u64,
    /// Not sent: they had changed since the job was made, or their payload is no longer kept.
    pub skipped: u64,
    /// Not sent because the job was cancelled, or cancelled one by one afterwards.
    pub cancelled: u64,
    /// Seconds until everything is sent, at the pace so far.
    pub eta_s: Option<u64>,
    #[serde(default, with = "text::option")]
    pub finished_at: Option<Timestamp>,
}

/// The answer to `POST /v1/replays`: the job, if one was made, and for named ids a row each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplayAnswer {
    pub result: String,
    pub message: String,
    #[serde(flatten)]
    pub job: Option<ReplayJob>,
    /// One row per id, in the order of the request; empty for a filter alone.
    pub data: Vec<ReplayRow>,
    /// With the preset `carriyo`: how many matched...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_failure_count: Option<u64>,
    /// ...and how many of them are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retriggered_count: Option<u64>,
}

/// The answer to a dry run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplayPreview {
    pub count: u64,
    /// When the oldest and the newest of them were created.
    #[serde(default, with = "text::option")]
    pub oldest: Option<Timestamp>,
    #[serde(default, with = "text::option")]
    pub newest: Option<Timestamp>,
    pub types: BTreeMap<String, u64>,
    /// By `tenant/name`.
    pub subscriptions: BTreeMap<String, u64>,
    /// Those that are sent as new deliveries, with consent only.
    pub at_most_once: u64,
    /// By `rate` and the subscriptions' own limits; `null` where neither says anything.
    pub estimate_s: Option<u64>,
}

/// The answer to `POST /v1/deliveries/{id}/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAnswer {
    pub result: String,
    pub message: String,
    pub id: String,
}
