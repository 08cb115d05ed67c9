//! What the engine says of itself: status, readiness, the books, a reload, its version.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Webhook, text};
use crate::model::Timestamp;

/// One screen about the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub pid: u32,
    #[serde(with = "text")]
    pub started_at: Timestamp,
    /// `running`, `degraded` (the disk is short: no more is taken than can be delivered), `stopped` (in doubt: nothing is
    /// read or sent) or `waiting` (for the cause of a doubt to be gone).
    pub state: String,
    /// A sentence, for every state but `running`.
    pub state_reason: Option<String>,
    /// What the last start found damaged or missing in the state, and what it did about it, in sentences.
    #[serde(default)]
    pub notices: Vec<String>,
    pub config: ConfigStatus,
    pub spool: SpoolStatus,
    pub deliveries: DeliveryStats,
    pub subscriptions: Vec<Webhook>,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigStatus {
    pub path: String,
    #[serde(with = "text")]
    pub loaded_at: Timestamp,
    pub changed_on_disk: bool,
}

/// Where reading stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpoolStatus {
    pub behind_bytes: u64,
    #[serde(default, with = "text::option")]
    pub last_event_at: Option<Timestamp>,
    pub events: u64,
    pub kept_bytes: u64,
    pub quarantined: u64,
    /// Files that are not read, or not as they should be: which, why, and what to do.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Where sending stands, over all subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeliveryStats {
    pub pending: u64,
    /// Of those, how many wait for another attempt.
    pub retrying: u64,
    #[serde(default, with = "text::option")]
    pub next_retry_at: Option<Timestamp>,
    pub delivered: u64,
    pub failed: u64,
    pub unknown: u64,
    /// Deliveries that are lost: their events, or their fate, are no longer to be found.
    #[serde(default)]
    pub dropped: u64,
    /// The greatest `oldest_due_age_s` of all subscriptions.
    #[serde(default)]
    pub oldest_due_age_s: u64,
}

/// Whether the engine takes and sends events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Readiness {
    pub ready: bool,
    pub checks: Vec<Check>,
}

/// One thing that must hold to be ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// A sentence, where it does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The books, recomputed from the files and the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Books {
    pub spool: SpoolBooks,
    pub subscriptions: Vec<SubscriptionBooks>,
    pub tenants: Vec<TenantBooks>,
    /// One sentence each; empty when the books balance.
    pub differences: Vec<String>,
}

/// `lines = events + blank + quarantined`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolBooks {
    pub lines: u64,
    pub events: u64,
    pub blank: u64,
    pub quarantined: u64,
}

/// The books of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionBooks {
    pub tenant: String,
    pub subscription: String,
    #[serde(flatten)]
    pub deliveries: DeliveryBooks,
}

/// The books of a tenant: the sums over its subscriptions, removed ones among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantBooks {
    pub tenant: String,
    #[serde(flatten)]
    pub deliveries: DeliveryBooks,
}

/// `matched = delivered + failed + unknown + cancelled + expired + dropped + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryBooks {
    pub matched: u64,
    pub delivered: u64,
    pub failed: u64,
    pub unknown: u64,
    pub cancelled: u64,
    pub expired: u64,
    pub dropped: u64,
    pub pending: u64,
}

impl std::ops::AddAssign for DeliveryBooks {
    fn add_assign(&mut self, other: Self) {
        self.matched += other.matched;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.cancelled += other.cancelled;
        self.expired += other.expired;
        self.dropped += other.dropped;
        self.pending += other.pending;
    }
}

/// What a reload led to. When it was not applied the old configuration stays in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadReport {
    pub applied: bool,
    pub message: String,
    /// The diagnostics as JSON objects: `code, message, file, line, column, help`.
    pub problems: Vec<Value>,
    /// The same, rendered for a terminal without colour.
    pub problems_text: String,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub name: String,
    pub version: String,
    pub api: String,
}

impl Version {
    /// This build.
    pub fn current() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: "v1".to_owned(),
        }
    }
}
