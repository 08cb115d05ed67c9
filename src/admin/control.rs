//! What the routes ask of the engine. Every call may block (it reads files and the state) and is therefore made on a
//! blocking thread; none may wait for the network.

use thiserror::Error;

use super::api::{
    BackupPlan, Books, Delivery, DeliveryDetail, EventDetail, EventPage, MatchReport, Page, QuarantineAnswer,
    QuarantineDetail, QuarantineEntry, Readiness, ReloadReport, ReplayRequest, ReplayRow, Stats, StatsMetric, Status,
    Webhook,
};
use super::caller::Caller;
use crate::model::{DeliveryStatus, Outcome, Timestamp};

/// The engine as the control plane sees it.
pub trait Control: Send + Sync {
    fn status(&self) -> Result<Status, ControlError>;
    fn readiness(&self) -> Readiness;

    /// Every subscription, by tenant and name.
    fn subscriptions(&self) -> Result<Vec<Webhook>, ControlError>;
    /// A bare name that exists in several tenants is `Ambiguous`.
    fn subscription(&self, key: &SubKey) -> Result<Webhook, ControlError>;
    /// Stops sending and keeps queueing. Pausing what is paused changes nothing.
    fn pause(&self, key: &SubKey) -> Result<Webhook, ControlError>;
    fn resume(&self, key: &SubKey) -> Result<Webhook, ControlError>;

    /// Newest first.
    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<Delivery>, ControlError>;
    /// `id` is a whole id or a prefix of at least six characters; one that fits several is `Ambiguous`.
    fn delivery(&self, id: &str) -> Result<DeliveryDetail, ControlError>;
    /// One row per id, in order; what one id leads to does not change another's.
    fn replay(&self, request: &ReplayRequest) -> Result<Vec<ReplayRow>, ControlError>;

    /// Log order from `cursor` (the oldest retained event without one). A page may be shorter than `limit` when its
    /// payloads are large. A cursor older than retention is `CursorExpired`.
    fn events(&self, page: &PageRequest) -> Result<EventPage, ControlError>;
    fn event(&self, id: &str) -> Result<EventDetail, ControlError>;
    /// Judges one line as the reader would, without taking it in. A line that is not an event is `Invalid`.
    fn match_event(&self, line: &[u8]) -> Result<MatchReport, ControlError>;

    /// Newest first.
    fn quarantine(&self, page: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError>;
    fn quarantined(&self, id: &str) -> Result<QuarantineDetail, ControlError>;
    /// Reads the line again; it stays when it is still not an event (`Invalid`).
    fn quarantine_retry(&self, id: &str) -> Result<QuarantineAnswer, ControlError>;
    fn quarantine_drop(&self, id: &str) -> Result<QuarantineAnswer, ControlError>;

    fn audit(&self) -> Result<Books, ControlError>;
    /// Loads the configuration again; returns when it is in force or refused.
    fn reload(&self) -> Result<ReloadReport, ControlError>;

    /// Series for charts, of one subscription or of all that the caller sees.
    fn stats(&self, caller: &Caller, request: &StatsRequest) -> Result<Stats, ControlError>;
    /// What a backup consists of. Only for callers that see every tenant.
    fn backup(&self, caller: &Caller) -> Result<BackupPlan, ControlError>;

    /// What Prometheus reads, without the part that the control plane counts itself.
    fn metrics(&self, caller: &Caller) -> Result<String, ControlError>;
}

/// Shortest prefix of a delivery id that is looked up.
pub const SHORTEST_PREFIX: usize = 6;

/// Names a subscription: by number, by name, or by `tenant/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubKey {
    Id(u32),
    Name { tenant: Option<String>, name: String },
}

impl SubKey {
    /// Reads `3`, `oms` or `acme/oms`. A subscription whose name is a number is reached as `default/3`.
    pub fn parse(text: &str) -> Self {
        if let Ok(id) = text.parse() {
            return Self::Id(id);
        }
        match text.split_once('/') {
            Some((tenant, name)) => Self::Name { tenant: Some(tenant.to_owned()), name: name.to_owned() },
            None => Self::Name { tenant: None, name: text.to_owned() },
        }
    }
}

/// Which deliveries to list. Empty means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub status: Vec<DeliveryStatus>,
    pub outcome: Vec<Outcome>,
    pub subscription: Option<SubKey>,
    /// A type pattern: `*` is one segment, `**` any number.
    pub event_type: Option<String>,
    pub tenant: Option<String>,
    pub event_id: Option<String>,
    /// By creation: at or after, and before.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub page: PageRequest,
}

/// Which series to show. Nothing said: all of them, of the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsRequest {
    pub metric: Option<StatsMetric>,
    pub subscription: Option<SubKey>,
    pub since: Option<Timestamp>,
    /// Seconds in a point.
    pub step_s: Option<u64>,
}

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to 200.
    pub limit: u16,
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 50, cursor: None }
    }
}

/// Why the engine does not answer a question. Messages are sentences for a person and hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ControlError {
    #[error("{0}")]
    NotFound(String),
    /// The name or prefix fits more than one thing; the message lists them.
    #[error("{0}")]
    Ambiguous(String),
    /// The request contradicts the state it meets.
    #[error("{0}")]
    Conflict(String),
    /// The request is understood and cannot be met as it stands.
    #[error("{0}")]
    Invalid(String),
    #[error("this cursor is older than the oldest event kept; go on from {oldest_cursor}, events before it are lost")]
    CursorExpired { oldest_cursor: String },
    /// The engine has stopped or is stopping.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Internal(String),
}

impl std::fmt::Display for SubKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(out),
            Self::Name { tenant: Some(tenant), name } => write!(out, "{tenant}/{name}"),
            Self::Name { tenant: None, name } => out.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_are_named_three_ways() {
        assert_eq!(SubKey::parse("3"), SubKey::Id(3));
        assert_eq!(SubKey::parse("oms"), SubKey::Name { tenant: None, name: "oms".into() });
        assert_eq!(SubKey::parse("acme/oms"), SubKey::Name { tenant: Some("acme".into()), name: "oms".into() });
    }
}
