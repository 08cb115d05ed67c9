//! The webhooks of the engine for tests: what a request was understood as is noted, and one answer is given.

use super::api::{Webhook, WebhookRotated, WebhookTested};
use super::caller::Caller;
use super::control::{Control, ControlError, SubKey};
use super::fake::{DELIVERY, FakeEngine, NOON, webhook};
use super::webhook_control::{IfMatch, NewWebhook, Rotation, WebhookChange, WebhookControl, WebhookWritten};
use crate::model::{Outcome, Secret};

impl FakeEngine {
    fn own(&self, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
        let found = self.subscription(caller, key)?;
        let hidden = || ControlError::NotFound(format!("no subscription {key}"));
        if caller.sees(&found.tenant) { Ok(found) } else { Err(hidden()) }
    }
}

impl WebhookControl for FakeEngine {
    fn webhook_create(&self, _: &Caller, request: &NewWebhook) -> Result<WebhookWritten, ControlError> {
        self.asked.lock().unwrap().push(format!("create {:?} {:?}", request.members, request.key));
        let made = (!request.dry_run).then(|| webhook("new", "active"));
        let secret = Some(Secret::new("whsec_new"));
        Ok(WebhookWritten { webhook: made, before: None, is_repeated: false, secret, warnings: Vec::new() })
    }

    fn webhook_change(
        &self,
        caller: &Caller,
        key: &SubKey,
        change: &WebhookChange,
    ) -> Result<WebhookWritten, ControlError> {
        let found = self.own(caller, key)?;
        if !change.if_match.allows(&found.settings.version) {
            return Err(ControlError::Precondition("it is in version 1".into()));
        }
        let before = Some(found.clone());
        Ok(WebhookWritten { webhook: Some(found), before, is_repeated: false, secret: None, warnings: Vec::new() })
    }

    fn webhook_delete(&self, caller: &Caller, key: &SubKey, _: &IfMatch) -> Result<Webhook, ControlError> {
        let found = self.own(caller, key)?;
        Err(ControlError::FileManaged { name: found.name, file: "config.toml".into(), line: 10 })
    }

    fn webhook_rotate(&self, caller: &Caller, key: &SubKey, _: &Rotation) -> Result<WebhookRotated, ControlError> {
        self.own(caller, key).map(|found| WebhookRotated {
            result: "success".into(),
            message: "Secret rotated.".into(),
            id: found.id,
            secret: Some(Secret::new("whsec_new")),
            secret_fingerprint: Some("77c1".into()),
            overlap_until: Some(NOON),
        })
    }

    fn webhook_test(&self, caller: &Caller, key: &SubKey, _: &[u8]) -> Result<WebhookTested, ControlError> {
        self.own(caller, key).map(|_| WebhookTested {
            result: "success".into(),
            message: "The receiver answered 200.".into(),
            delivery_id: DELIVERY.into(),
            event_type: "webhook.test".into(),
            outcome: Outcome::Success,
            status_code: Some(200),
            duration_ms: 38,
            remote_address: Some("10.0.0.7:443".into()),
            request_bytes: 412,
            response_headers: Vec::new(),
            response_body: "ok".into(),
            error: None,
        })
    }
}
