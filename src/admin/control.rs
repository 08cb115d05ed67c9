//! What the routes ask of the engine. Every call may block (it reads files and the state) and is therefore made on a
//! blocking thread; none may wait for the network.

use thiserror::Error;

use super::accept::AcceptRequest;
use super::api::{Accepted, FieldFault};
use super::api::{
    AttemptView, BodyOf, CancelAnswer, DeliveryPage, ReplayAnswer, ReplayJob, ReplayOrder, ReplayPreview,
};
use super::api::{
    BackupPlan, Books, DeliveryDetail, EventDetail, EventPage, MatchReport, Page, QuarantineAnswer, QuarantineDetail,
    QuarantineEntry, Readiness, ReloadReport, ReplayRequest, ReplayRow, Stats, StatsMetric, Status, Webhook,
};
use super::caller::Caller;
use super::poll::{LostEvents, PollRequest};
use super::problem::Problem;
use super::webhook_control::WebhookControl;
use crate::model::{AttemptTrigger, DeliveryStatus, Outcome, Timestamp};

/// The engine as the control plane sees it. Who asks comes first: what belongs to another tenant than the caller's does not
/// exist for it, and what belongs to no tenant is `Forbidden` for a tenant's token.
pub trait Control: WebhookControl + Send + Sync {
    fn status(&self, caller: &Caller) -> Result<Status, ControlError>;
    fn readiness(&self) -> Readiness;

    /// Every subscription, by tenant and name.
    fn subscriptions(&self, caller: &Caller) -> Result<Vec<Webhook>, ControlError>;
    /// A bare name that exists in several tenants is `Ambiguous`.
    fn subscription(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError>;
    /// Stops sending and keeps queueing. Pausing what is paused changes nothing.
    fn pause(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError>;
    fn resume(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError>;

    /// Newest first. A look through the history is bounded: a page may hold less than there is and say that it is partial.
    fn deliveries(&self, caller: &Caller, filter: &DeliveryFilter) -> Result<DeliveryPage, ControlError>;
    /// `id` is a whole id or a prefix of at least six characters; one that fits several is `Ambiguous`.
    fn delivery(&self, caller: &Caller, id: &str) -> Result<DeliveryDetail, ControlError>;
    /// One row per id, in order; what one id leads to does not change another's.
    fn replay(&self, caller: &Caller, request: &ReplayRequest) -> Result<Vec<ReplayRow>, ControlError>;

    /// Log order, without gaps. A page may be shorter than `limit`, and empty, though there is more: its cursor goes on.
    /// Where events are no longer kept it is `CursorExpired`.
    fn poll(&self, caller: &Caller, request: &PollRequest) -> Result<EventPage, ControlError>;
    /// Writes events into the spool; durable on return. All of them, or none.
    fn accept(&self, caller: &Caller, request: &AcceptRequest) -> Result<Accepted, ControlError>;
    fn event(&self, caller: &Caller, id: &str) -> Result<EventDetail, ControlError>;
    /// Judges one line as the reader would, without taking it in. A line that is not an event is `Invalid`.
    fn match_event(&self, caller: &Caller, line: &[u8]) -> Result<MatchReport, ControlError>;

    /// Newest first.
    fn quarantine(&self, caller: &Caller, page: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError>;
    fn quarantined(&self, caller: &Caller, id: &str) -> Result<QuarantineDetail, ControlError>;
    /// Reads the line again; it stays when it is still not an event (`Invalid`).
    fn quarantine_retry(&self, caller: &Caller, id: &str) -> Result<QuarantineAnswer, ControlError>;
    fn quarantine_drop(&self, caller: &Caller, id: &str) -> Result<QuarantineAnswer, ControlError>;

    /// Makes a replay job, or tells what it would be. What the caller does not see is not among its deliveries.
    fn start_replay(&self, caller: &Caller, order: &ReplayOrder) -> Result<ReplayOutcome, ControlError>;
    /// Newest first.
    fn replay_jobs(&self, caller: &Caller, page: &PageRequest) -> Result<Page<ReplayJob>, ControlError>;
    fn replay_job(&self, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError>;
    /// Nothing more of it is sent; `Conflict` when nothing was left to send.
    fn cancel_replay(&self, caller: &Caller, id: &str) -> Result<ReplayJob, ControlError>;
    /// One attempt with its request; attempts count from 1.
    fn attempt(&self, caller: &Caller, id: &str, number: u32) -> Result<AttemptView, ControlError>;
    fn attempt_body(&self, caller: &Caller, id: &str, number: u32, of: BodyOf) -> Result<Vec<u8>, ControlError>;
    /// Ends a delivery that waits; `Conflict` when it has ended or is on its way.
    fn cancel_delivery(&self, caller: &Caller, id: &str) -> Result<CancelAnswer, ControlError>;

    fn audit(&self, caller: &Caller) -> Result<Books, ControlError>;
    /// Loads the configuration again; returns when it is in force or refused.
    fn reload(&self, caller: &Caller) -> Result<ReloadReport, ControlError>;

    /// Series for charts, of one subscription or of all that the caller sees.
    fn stats(&self, caller: &Caller, request: &StatsRequest) -> Result<Stats, ControlError>;
    /// What a backup consists of. Only for callers that see every tenant.
    fn backup(&self, caller: &Caller) -> Result<BackupPlan, ControlError>;

    /// What Prometheus reads, without the part that the control plane counts itself.
    fn metrics(&self, caller: &Caller) -> Result<String, ControlError>;
}

/// What an order to replay led to.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplayOutcome {
    /// It was a dry run.
    Preview(ReplayPreview),
    Job(Box<ReplayAnswer>),
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
    /// Of the last attempt: from and up to, both included.
    pub status_code: Option<(u16, u16)>,
    /// Of the last attempt.
    pub trigger: Option<AttemptTrigger>,
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
    /// Members of the request that cannot be as they are.
    #[error("{}", said(.0))]
    Fields(Vec<FieldFault>),
    /// A limit of the configuration, which the message names.
    #[error("{0}")]
    LimitReached(String),
    /// What is defined in a file is changed there.
    #[error("\"{name}\" comes from {file}:{line}. Edit that file and run spoolhook reload. Pausing is possible here.")]
    FileManaged { name: String, file: String, line: u32 },
    /// It is not in the version that the request speaks of.
    #[error("{0}")]
    Precondition(String),
    /// The request cannot be read as what it claims to be.
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    CursorExpired(Box<LostEvents>),
    /// The caller may not do this, whatever it names.
    #[error("{0}")]
    Forbidden(String),
    /// The engine has stopped or is stopping.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Internal(String),
    /// A refusal that says more than a sentence.
    #[error("{}", .0.detail)]
    Told(Box<Problem>),
}

fn said(faults: &[FieldFault]) -> String {
    match faults {
        [one] => one.detail.clone(),
        several => format!("{} fields need attention.", several.len()),
    }
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
