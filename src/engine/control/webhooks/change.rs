//! Making, changing and deleting.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::{cautions, check_ready, check_version, fault, find_own, put_in_force, random, refusal};
use crate::admin::api::Webhook;
use crate::admin::{Caller, ControlError, IfMatch, NewWebhook, SubKey, WebhookChange, WebhookWritten};
use crate::config::{self, Asker, RequestKey};
use crate::engine::control::subscriptions::of;
use crate::engine::running::{Shared, lock};
use crate::model::{Secret, SubId, hex};

fn asker(caller: &Caller) -> Asker<'_> {
    Asker { tenant: caller.tenant.as_deref() }
}

pub fn create(shared: &Shared, caller: &Caller, request: &NewWebhook) -> Result<WebhookWritten, ControlError> {
    let _one_at_a_time = lock(&shared.reloading);
    let config = shared.config();
    let now = shared.clock.now();
    let key = request.key.as_deref().map(|key| digest(&[identity(caller).as_bytes(), key.as_bytes()]));
    let body = digest(&[&request.body]);
    if let Some(known) = key.as_deref().and_then(|key| config.webhooks.request(key, now)) {
        return repeated(shared, known, &body);
    }
    let used: HashSet<(String, String)> =
        shared.state.ledger().lanes.values().map(|lane| (lane.tenant.clone(), lane.name.clone())).collect();
    let is_taken = |tenant: &str, name: &str| used.contains(&(tenant.to_owned(), name.to_owned()));
    let mut draft = config::create(&config, &request.members, asker(caller), &is_taken, &random()?).map_err(refusal)?;
    check_ready(shared, &draft.config, &draft.subscription)?;
    let cautions = cautions(shared, &draft.subscription);
    let warnings = draft.warnings.into_iter().map(fault).chain(cautions).collect();
    if request.dry_run {
        return Ok(WebhookWritten { webhook: None, before: None, is_repeated: false, secret: None, warnings });
    }
    let (tenant, name) = (draft.subscription.tenant().to_owned(), draft.subscription.name.clone());
    if let Some(key) = key {
        draft.config.webhooks.remember(RequestKey {
            key,
            body,
            tenant: tenant.clone(),
            name: name.clone(),
            fingerprint: draft.secret.as_ref().map(Secret::fingerprint),
            at: now,
        });
    }
    put_in_force(shared, draft.config)?;
    let webhook = of(shared, sub_of(shared, &tenant, &name)?)?;
    tracing::info!(by = caller.name, tenant, subscription = name, "webhook created");
    let (webhook, secret) = (Some(webhook), draft.secret);
    Ok(WebhookWritten { webhook, before: None, is_repeated: false, secret, warnings })
}

/// The answer to a request that was answered before. The secret is told again only while it is the one told then: whoever
/// has the key and the body asked for it, and may have never seen the answer.
fn repeated(shared: &Shared, known: &RequestKey, body: &str) -> Result<WebhookWritten, ControlError> {
    if known.body != body {
        let text = "this Idempotency-Key came with another body before; use a new key for a new webhook";
        return Err(ControlError::Invalid(text.to_owned()));
    }
    let config = shared.config();
    let Some(subscription) = config.subscription(&known.tenant, &known.name) else {
        let text = format!("the webhook \"{}\" that this Idempotency-Key made has been deleted since", known.name);
        return Err(ControlError::Conflict(text));
    };
    let newest = subscription.secrets.first().filter(|secret| Some(secret.fingerprint()) == known.fingerprint);
    let (webhook, secret) = (Some(of(shared, sub_of(shared, &known.tenant, &known.name)?)?), newest.cloned());
    Ok(WebhookWritten { webhook, before: None, is_repeated: true, secret, warnings: Vec::new() })
}

pub fn change(
    shared: &Shared,
    caller: &Caller,
    key: &SubKey,
    change: &WebhookChange,
) -> Result<WebhookWritten, ControlError> {
    let _one_at_a_time = lock(&shared.reloading);
    let (sub, found) = find_own(shared, caller, key)?;
    check_version(shared, &found, &change.if_match)?;
    let named = (found.tenant(), found.name.as_str());
    let config = shared.config();
    let draft = config::change(&config, named, &change.members, asker(caller)).map_err(refusal)?;
    check_ready(shared, &draft.config, &draft.subscription)?;
    let cautions = cautions(shared, &draft.subscription);
    let warnings = draft.warnings.into_iter().map(fault).chain(cautions).collect();
    if change.dry_run {
        return Ok(WebhookWritten { webhook: None, before: None, is_repeated: false, secret: None, warnings });
    }
    let before = Some(of(shared, sub)?);
    put_in_force(shared, draft.config)?;
    let members: Vec<&str> = change.members.keys().map(String::as_str).collect();
    let (tenant, name) = named;
    tracing::info!(by = caller.name, tenant, subscription = name, members = members.join(","), "webhook updated");
    Ok(WebhookWritten { webhook: Some(of(shared, sub)?), before, is_repeated: false, secret: None, warnings })
}

/// It is gone at once; what waited for it is cancelled as for every subscription that is gone.
pub fn delete(shared: &Shared, caller: &Caller, key: &SubKey, if_match: &IfMatch) -> Result<Webhook, ControlError> {
    let _one_at_a_time = lock(&shared.reloading);
    let (sub, found) = find_own(shared, caller, key)?;
    check_version(shared, &found, if_match)?;
    let was = of(shared, sub)?;
    put_in_force(shared, shared.config().without_webhook(found.tenant(), &found.name))?;
    tracing::info!(by = caller.name, tenant = found.tenant(), subscription = found.name, "webhook deleted");
    Ok(was)
}

/// Whose keys are whose: a key of one caller says nothing to another.
fn identity(caller: &Caller) -> String {
    format!("{}\n{}", caller.tenant.as_deref().unwrap_or_default(), caller.name)
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// The number of a subscription that is in force.
fn sub_of(shared: &Shared, tenant: &str, name: &str) -> Result<SubId, ControlError> {
    let configured = lock(&shared.routing).subscriptions.clone();
    let found = configured.iter().find(|(_, each)| each.name == name && each.tenant() == tenant);
    found.map(|(sub, _)| *sub).ok_or_else(|| ControlError::NotFound(format!("no subscription {tenant}/{name}")))
}
