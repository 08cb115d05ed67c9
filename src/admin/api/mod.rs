//! The JSON of the HTTP API as types: written by the routes, read back by the command line.
//!
//! Keys are snake_case except where Umbra's document spells them otherwise (`dateCreated`); instants are RFC 3339 in
//! UTC with milliseconds; statuses and outcomes are the names of the one list in `model`.

mod backup;
mod delivery;
mod event;
mod quarantine;
mod report;
mod stats;
mod text;
mod webhook;

use serde::{Deserialize, Serialize};

pub use backup::{BackupFile, BackupPlan};
pub use delivery::{AttemptDetail, AttemptLine, Delivery, DeliveryDetail, Gap, ReplayRequest, ReplayRow, Replays};
pub use event::{DeliveryRef, EventDetail, EventPage, EventRecord, MatchReport, MatchRow};
pub use quarantine::{QuarantineAnswer, QuarantineDetail, QuarantineEntry};
pub use report::{
    Books, Check, ConfigStatus, DeliveryBooks, DeliveryStats, Readiness, ReloadReport, SpoolBooks, SpoolStatus, Status,
    SubscriptionBooks, TenantBooks, Version,
};
pub use stats::{Stats, StatsMetric, StatsPoint};
pub use webhook::{Counters, Webhook, WebhookAnswer, WebhookList};

/// One page of a list, newest first unless the route says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Opaque; give it back as `cursor` to go on. `null` at the end.
    pub next_cursor: Option<String>,
    pub has_more: bool,
}
