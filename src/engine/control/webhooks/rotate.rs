//! A new secret for a webhook, and the end of the old one.

use std::time::Duration;

use super::{find_own, put_in_force, random, refusal, whole};
use crate::admin::api::{FieldFault, WebhookRotated};
use crate::admin::{Caller, ControlError, Rotation, SubKey};
use crate::config;
use crate::engine::running::{Shared, lock};
use crate::model::Secret;

const OVERLAP: Duration = Duration::from_secs(24 * 3600);
const OVERLAP_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

pub fn rotate(
    shared: &Shared,
    caller: &Caller,
    key: &SubKey,
    rotation: &Rotation,
) -> Result<WebhookRotated, ControlError> {
    let _one_at_a_time = lock(&shared.reloading);
    let (sub, found) = find_own(shared, caller, key)?;
    let overlap = overlap(rotation.overlap.as_deref())?;
    let until = (!overlap.is_zero()).then(|| shared.clock.now().plus(overlap));
    let (config, named) = (shared.config(), (found.tenant(), found.name.as_str()));
    let draft = config::rotate(&config, named, rotation.secret.as_ref(), until, &random()?).map_err(refusal)?;
    super::check_ready(shared, &draft.config, &draft.subscription)?;
    let overlap_until = draft.config.webhooks.overlap_until(named.0, named.1);
    let signs_with_all = config.dialects.get(&found.dialect).is_some_and(|dialect| dialect.signs_with_all());
    let secret = draft.secret.clone();
    put_in_force(shared, draft.config)?;
    tracing::info!(by = caller.name, tenant = named.0, subscription = named.1, "secret rotated");
    let message = match overlap_until {
        Some(until) => format!("Secret rotated: the old one signs too until {until}."),
        None if until.is_some() && !signs_with_all => format!(
            "Secret rotated: the dialect \"{}\" has room for one signature, so the new one signs alone from now on.",
            found.dialect
        ),
        None => "Secret rotated: the new one signs alone from now on.".to_owned(),
    };
    Ok(WebhookRotated {
        result: "success".to_owned(),
        message,
        id: sub.0,
        secret_fingerprint: secret.as_ref().map(Secret::fingerprint),
        secret,
        overlap_until,
    })
}

fn overlap(text: Option<&str>) -> Result<Duration, ControlError> {
    let Some(text) = text else { return Ok(OVERLAP) };
    let read = config::duration(text).filter(|overlap| *overlap <= OVERLAP_MAX);
    read.ok_or_else(|| {
        let detail = "`overlap` is not a duration of a year at most".to_owned();
        let help = Some("write \"24h\", or \"0s\" for none (units: ms, s, m, h, d)".to_owned());
        ControlError::Fields(vec![FieldFault { pointer: "#/overlap".to_owned(), help, ..whole(detail) }])
    })
}

/// Lets go of secrets whose time is over. A failure is told, and tried again at the next look.
pub(in crate::engine) fn end_overlaps(shared: &Shared) {
    let now = shared.clock.now();
    if config::settle(&shared.config(), now).is_none() {
        return;
    }
    let _one_at_a_time = lock(&shared.reloading);
    let Some(settled) = config::settle(&shared.config(), now) else { return };
    match put_in_force(shared, settled) {
        Ok(()) => tracing::info!("secrets that were rotated sign no more: their overlap has ended"),
        Err(error) => tracing::error!(%error, "a rotated secret still signs, though its overlap has ended"),
    }
}
