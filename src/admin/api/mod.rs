//! The JSON of the HTTP API as types: written by the routes, read back by the command line.
//!
//! Keys are snake_case except where Umbra's document spells them otherwise (`dateCreated`); instants are RFC 3339 in
//! UTC with milliseconds; statuses and outcomes are the names of the one list in `model`.

mod accept;
mod attempt;
mod backup;
mod change;
mod delivery;
mod event;
mod quarantine;
mod replay;
mod report;
mod stats;
mod text;
mod token;
mod webhook;
mod webhook_change;

use serde::{Deserialize, Serialize};

pub use accept::{Accepted, AcceptedEvent, LineFault};
pub use attempt::{AttemptView, BodyOf, RequestView};
pub use backup::{BackupFile, BackupPlan};
pub use change::Change;
pub use delivery::{
    AttemptDetail, AttemptLine, Delivery, DeliveryDetail, DeliveryPage, Gap, ReplayRequest, ReplayRow, Replays,
};
pub use event::{DeliveryRef, EventDetail, EventPage, EventRecord, MatchReport, MatchRow};
pub use quarantine::{QuarantineAnswer, QuarantineDetail, QuarantineEntry};
pub use replay::{
    CancelAnswer, ReplayAnswer, ReplayDirection, ReplayFilter, ReplayJob, ReplayOrder, ReplayPreview, ReplayStatus,
};
pub use report::{
    Books, Check, ConfigStatus, DeliveryBooks, DeliveryStats, Readiness, ReloadReport, SpoolBooks, SpoolStatus, Status,
    SubscriptionBooks, TenantBooks, Version,
};
pub use stats::{Stats, StatsMetric, StatsPoint};
pub use token::{NewToken, Token, TokenAnswer};
pub use webhook::{Counters, OAuth2Shown, Webhook, WebhookAnswer, WebhookList, WebhookSettings};
pub use webhook_change::{FieldFault, WebhookChanged, WebhookCreated, WebhookRotated, WebhookTested};

/// One page of a list, newest first unless the route says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    /// Opaque; give it back as `cursor` to go on. `null` at the end.
    pub next_cursor: Option<String>,
    pub has_more: bool,
}
