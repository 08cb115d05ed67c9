//! A webhook in the log of changes: as the API shows it, less what counts by itself, and without what may be secret.

use serde_json::{Value, json};

use super::Changed;
use crate::admin::api::Webhook;
use crate::model::{Secret, masked_url};

impl Changed {
    /// Something about a webhook.
    pub fn of_webhook(webhook: &Webhook) -> Self {
        Self::of(format!("subscription {}/{}", webhook.tenant, webhook.name)).tenant(&webhook.tenant)
    }

    /// A webhook that was made, changed or deleted.
    pub fn webhook(before: Option<&Webhook>, after: Option<&Webhook>) -> Self {
        let Some(named) = after.or(before) else { return Self::nothing() };
        Self { before: before.map(kept), after: after.map(kept), ..Self::of_webhook(named) }
    }
}

/// A path may be a token (Carbon's is), so of the URL the host is kept, and a fingerprint that tells two of them apart.
fn kept(webhook: &Webhook) -> Value {
    let mut value = serde_json::to_value(webhook).expect("strings, numbers and maps of them always serialise");
    if let Value::Object(members) = &mut value {
        members.remove("counters");
        members.insert("url".to_owned(), masked_url(&webhook.url).into());
        members.insert("url_fingerprint".to_owned(), json!(Secret::new(webhook.url.as_str()).fingerprint()));
    }
    value
}
