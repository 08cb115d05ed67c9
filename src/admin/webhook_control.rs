//! What the routes that change webhooks ask of the engine: the second half of [`Control`](super::Control).

use serde_json::{Map, Value};

use super::api::{FieldFault, Webhook, WebhookRotated, WebhookTested};
use super::caller::Caller;
use super::control::{ControlError, SubKey};
use crate::model::Secret;

/// Making, changing and trying webhooks. A webhook of another tenant is `NotFound`, one of a file `FileManaged`.
pub trait WebhookControl {
    /// Returns when the webhook is durable and in force.
    fn webhook_create(&self, caller: &Caller, request: &NewWebhook) -> Result<WebhookWritten, ControlError>;
    /// What the change does not name stays.
    fn webhook_change(
        &self,
        caller: &Caller,
        key: &SubKey,
        change: &WebhookChange,
    ) -> Result<WebhookWritten, ControlError>;
    /// The webhook as it was.
    fn webhook_delete(&self, caller: &Caller, key: &SubKey, if_match: &IfMatch) -> Result<Webhook, ControlError>;
    /// A new secret signs from now on.
    fn webhook_rotate(
        &self,
        caller: &Caller,
        key: &SubKey,
        rotation: &Rotation,
    ) -> Result<WebhookRotated, ControlError>;
    /// Sends one request at once, through the dialect and the transport of the subscription, and waits for the answer: the
    /// one question that waits for the network. `event` is what an event's line may say; empty: a test event.
    fn webhook_test(&self, caller: &Caller, key: &SubKey, event: &[u8]) -> Result<WebhookTested, ControlError>;
}

/// A webhook that is asked for.
#[derive(Clone, Debug, Default)]
pub struct NewWebhook {
    pub members: Map<String, Value>,
    /// The body as it came, for telling a repeated request from another one.
    pub body: Vec<u8>,
    /// `Idempotency-Key`.
    pub key: Option<String>,
    /// Say what would come of it, and change nothing.
    pub dry_run: bool,
}

/// What is to change.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    pub members: Map<String, Value>,
    pub if_match: IfMatch,
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct WebhookWritten {
    /// `None` when nothing was changed.
    pub webhook: Option<Webhook>,
    /// How it was; `None` for a new one.
    pub before: Option<Webhook>,
    /// The answer to a request that was answered before: nothing was changed this time.
    pub is_repeated: bool,
    /// The secret of a new webhook.
    pub secret: Option<Secret>,
    pub warnings: Vec<FieldFault>,
}

/// A rotation of the secret.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// How long the old secret signs too: a duration; without one, a day.
    pub overlap: Option<String>,
    /// The new secret; without one, it is made.
    pub secret: Option<Secret>,
}

/// `If-Match`: the versions in which a request may meet what it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    #[default]
    Any,
    /// Without their quotes.
    Versions(Vec<String>),
}

impl IfMatch {
    /// Reads the header's value. A weak tag is never the same as another one (RFC 9110 section 13.1.1).
    pub fn parse(value: &str) -> Self {
        if value.trim() == "*" {
            return Self::Any;
        }
        let tag = |text: &str| Some(text.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned());
        Self::Versions(value.split(',').filter_map(tag).collect())
    }

    /// Whether a request with this header may change what is in `version`.
    pub fn allows(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.iter().any(|known| known == version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_compares_strong_tags() {
        assert!(IfMatch::default().allows("1") && IfMatch::parse("*").allows("1"));
        let list = IfMatch::parse("\"a\", \"b\"");
        assert!(list.allows("a") && list.allows("b") && !list.allows("c"));
        assert!(!IfMatch::parse("W/\"a\"").allows("a"));
        assert!(!IfMatch::parse("nonsense").allows("nonsense"));
    }
}
