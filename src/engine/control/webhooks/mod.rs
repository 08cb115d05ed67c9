//! Webhooks over the API: made, changed, deleted, rotated, tried. Every change is one step under one lock:
//!
//! ```text
//! judge the whole (config) -> make it ready to send -> write <state>/webhooks.toml -> put it in force -> answer
//! ```
//! What was answered is therefore durable, and what is durable is in force after the next start at the latest.

mod change;
mod rotate;
mod shown;
mod test;

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};

use super::{Panel, internal, unavailable};
use crate::admin::api::{FieldFault, Webhook, WebhookRotated, WebhookTested};
use crate::admin::{
    Caller, ControlError, IfMatch, NewWebhook, Rotation, SubKey, WebhookChange, WebhookControl, WebhookWritten,
};
use crate::config::{self, Config, Refusal};
use crate::engine::running::{Shared, lock};
use crate::engine::target::target;
use crate::engine::webhooks::keep;
use crate::http::Origin;
use crate::model::{SourceKind, SubId, Subscription};

pub(in crate::engine) use rotate::end_overlaps;
pub(super) use shown::{settings, version};

impl WebhookControl for Panel {
    fn webhook_create(&self, caller: &Caller, request: &NewWebhook) -> Result<WebhookWritten, ControlError> {
        change::create(&*self.engine()?, caller, request)
    }

    fn webhook_change(
        &self,
        caller: &Caller,
        key: &SubKey,
        change: &WebhookChange,
    ) -> Result<WebhookWritten, ControlError> {
        change::change(&*self.engine()?, caller, key, change)
    }

    fn webhook_delete(&self, caller: &Caller, key: &SubKey, if_match: &IfMatch) -> Result<Webhook, ControlError> {
        change::delete(&*self.engine()?, caller, key, if_match)
    }

    fn webhook_rotate(
        &self,
        caller: &Caller,
        key: &SubKey,
        rotation: &Rotation,
    ) -> Result<WebhookRotated, ControlError> {
        rotate::rotate(&*self.engine()?, caller, key, rotation)
    }

    fn webhook_test(&self, caller: &Caller, key: &SubKey, event: &[u8]) -> Result<WebhookTested, ControlError> {
        test::test(&*self.engine()?, caller, key, event)
    }
}

/// The subscription behind a key, as far as `caller` sees.
fn find(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<(SubId, Arc<Subscription>), ControlError> {
    let configured = lock(&shared.routing).subscriptions.clone();
    let is_meant = |sub: SubId, subscription: &Subscription| match key {
        SubKey::Id(id) => sub.0 == *id,
        SubKey::Name { tenant, name } => {
            subscription.name == *name && tenant.as_deref().is_none_or(|tenant| subscription.tenant() == tenant)
        }
    };
    let found: Vec<_> = configured
        .iter()
        .filter(|(sub, subscription)| caller.sees(subscription.tenant()) && is_meant(**sub, subscription))
        .collect();
    match found.as_slice() {
        [(sub, subscription)] => Ok((**sub, (*subscription).clone())),
        [] => Err(ControlError::NotFound(format!("no subscription {key}; see `spoolhook subs list`"))),
        several => {
            let names: Vec<_> = several.iter().map(|(_, found)| format!("{}/{}", found.tenant(), found.name)).collect();
            Err(ControlError::Ambiguous(format!("{key} exists in several tenants: {}", names.join(", "))))
        }
    }
}

/// The same for a change, which a file's subscription does not take from here.
fn find_own(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<(SubId, Arc<Subscription>), ControlError> {
    let (sub, found) = find(shared, caller, key)?;
    if found.source.kind == SourceKind::File {
        let file = found.source.file.display().to_string();
        return Err(ControlError::FileManaged { name: found.name.clone(), file, line: found.source.line });
    }
    Ok((sub, found))
}

/// Refuses what speaks of another version.
fn check_version(shared: &Shared, subscription: &Subscription, if_match: &IfMatch) -> Result<(), ControlError> {
    let is = version(&shared.config(), subscription);
    if if_match.allows(&is) {
        return Ok(());
    }
    Err(ControlError::Precondition(format!("the webhook is in version \"{is}\" by now; read it again")))
}

/// Makes `config` durable and puts it in force. What cannot be put in force is taken back.
fn put_in_force(shared: &Shared, config: Config) -> Result<(), ControlError> {
    let before = shared.config();
    let files = &*shared.state.files;
    keep(&config, &config.webhooks, files).map_err(internal)?;
    shared.apply(config).map_err(|reason| {
        if let Err(error) = keep(&before, &before.webhooks, files) {
            tracing::error!(%error, "a webhook that could not be put in force is in its file all the same");
        }
        unavailable(format!("nothing was changed: {reason}"))
    })
}

/// Whether the endpoint can be made ready: what only `http` and `wire` find wrong belongs into the answer.
fn check_ready(shared: &Shared, config: &Config, subscription: &Subscription) -> Result<(), ControlError> {
    let checked = target(config, &shared.transport(), subscription);
    checked.map(drop).map_err(|detail| ControlError::Fields(vec![whole(detail)]))
}

/// What of the settings of a webhook will not work as long as the configuration is as it is.
fn cautions(shared: &Shared, subscription: &Subscription) -> Vec<FieldFault> {
    let (transport, oauth2) = (shared.transport(), subscription.oauth2.as_ref());
    let urls = [("#/url", Some(&subscription.url)), ("#/oauth2/token_url", oauth2.map(|oauth2| &oauth2.token_url))];
    let caution = |(pointer, url): (&str, Option<&String>)| {
        let why = transport.forbids(url?, Origin::Api)?;
        let help = "until then every delivery ends as `blocked_address`; the webhook is kept as asked for";
        let (pointer, code, help) = (pointer.to_owned(), "W004".to_owned(), Some(help.to_owned()));
        Some(FieldFault { pointer, code, detail: why, help })
    };
    urls.into_iter().filter_map(caution).collect()
}

/// A fault of the request as a whole.
fn whole(detail: String) -> FieldFault {
    FieldFault { pointer: "#".to_owned(), code: "E005".to_owned(), detail, help: None }
}

fn fault(fault: config::FieldFault) -> FieldFault {
    FieldFault { pointer: fault.pointer, code: fault.code.to_owned(), detail: fault.detail, help: fault.help }
}

fn refusal(refusal: Refusal) -> ControlError {
    match refusal {
        Refusal::Fields(faults) => ControlError::Fields(faults.into_iter().map(fault).collect()),
        Refusal::Limit(reason) => ControlError::LimitReached(reason),
        Refusal::Taken(reason) => ControlError::Conflict(reason),
    }
}

/// Random bytes for a secret.
fn random<const N: usize>() -> Result<[u8; N], ControlError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| internal("the system gives no random bytes"))?;
    Ok(bytes)
}
