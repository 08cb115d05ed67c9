//! Subscriptions as people see them, and their pause switch.

use std::collections::HashMap;
use std::sync::Arc;

use super::webhooks::settings;
use super::{internal, unavailable};
use crate::admin::api::{Counters, Webhook};
use crate::admin::{Caller, ControlError, Scope, SubKey};
use crate::config::{Config, SubscriptionKey};
use crate::dispatch::LaneStatus;
use crate::engine::messages::{LaneCommand, Then};
use crate::engine::running::{Shared, lock};
use crate::model::{SourceKind, SubId, Subscription, Timestamp};
use crate::store::{LaneState, Record};

/// When the certificates of endpoints end, by tenant and name.
type Certificates = HashMap<SubscriptionKey, Timestamp>;

fn certificates(shared: &Shared) -> Certificates {
    let ready = lock(&shared.ready);
    let dated = ready.iter().filter_map(|(subscription, target)| Some((subscription, target.certificate_until()?)));
    dated.map(|(found, until)| ((found.tenant().to_owned(), found.name.clone()), until)).collect()
}

fn webhook(
    config: &Config,
    sub: SubId,
    subscription: &Subscription,
    lane: &LaneState,
    status: Option<&LaneStatus>,
    certificates: &Certificates,
    now: Timestamp,
) -> Webhook {
    let counters = &lane.counters;
    let overdue_since = status.and_then(|status| status.overdue_since);
    let (state, reason) = if let Some(reason) = &subscription.withheld {
        ("disabled", Some(format!("out of force: {reason}")))
    } else if !subscription.active {
        ("disabled", Some("switched off in the configuration: events do not queue".to_owned()))
    } else if let Some(reason) = &lane.paused {
        ("paused", Some(reason.clone()))
    } else if let Some(until) = status.and_then(|status| status.breaker_until) {
        ("failing", Some(format!("nothing but failures; the next probe goes out at {until}")))
    } else if status.is_some_and(|status| status.suspect) {
        ("failing", Some("the last attempts all failed".to_owned()))
    } else {
        ("active", None)
    };
    Webhook {
        id: sub.0,
        url: subscription.url.clone(),
        events: subscription.filter.events.clone(),
        is_active: subscription.active,
        date_created: lane.created,
        name: subscription.name.clone(),
        tenant: subscription.tenant().to_owned(),
        source: subscription.source.kind.as_str().to_owned(),
        source_ref: (subscription.source.kind == SourceKind::File).then(|| subscription.source.to_string()),
        mode: subscription.mode.as_str().to_owned(),
        dialect: subscription.dialect.clone(),
        condition: subscription.filter.condition.clone(),
        state: state.to_owned(),
        state_reason: reason,
        secret_fingerprint: subscription.secrets.first().map(crate::model::Secret::fingerprint),
        certificate_not_after: certificates
            .get(&(subscription.tenant().to_owned(), subscription.name.clone()))
            .copied(),
        counters: Counters {
            success_count: counters.success_count,
            error_count: counters.error_count,
            last_success_at: counters.last_success_at,
            last_error_at: counters.last_error_at,
            last_error: counters.last_error.map(|outcome| outcome.as_str().to_owned()),
            pending: lane.books.pending(),
            oldest_due_age_s: overdue_since.map_or(0, |since| now.since(since).as_secs()),
        },
        settings: settings(config, subscription),
    }
}

/// Every configured subscription that the caller sees, by tenant and name. A URL may hold a token (Carbon's does), so those who
/// may not change it see where it leads only.
pub fn all(shared: &Shared, caller: &Caller) -> Result<Vec<Webhook>, ControlError> {
    let now = shared.schedule_now();
    let lanes: HashMap<SubId, LaneStatus> = shared
        .ask(move |scheduler| scheduler.status(now))
        .ok_or_else(|| unavailable("the engine is stopping"))?
        .into_iter()
        .map(|lane| (lane.sub, lane))
        .collect();
    let configured = lock(&shared.routing).subscriptions.clone();
    let config = shared.config();
    let certificates = certificates(shared);
    let ledger = shared.state.ledger();
    let mut webhooks: Vec<_> = configured
        .iter()
        .filter(|(_, subscription)| caller.sees(subscription.tenant()))
        .filter_map(|(sub, subscription)| {
            let lane = ledger.lanes.get(sub)?;
            let mut webhook = webhook(&config, *sub, subscription, lane, lanes.get(sub), &certificates, now);
            if caller.scope < Scope::Admin {
                webhook.url = subscription.masked_url();
            }
            Some(webhook)
        })
        .collect();
    webhooks.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
    Ok(webhooks)
}

/// The number and settings behind a key, if the caller sees it.
pub fn find(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<(SubId, Arc<Subscription>), ControlError> {
    let configured = lock(&shared.routing).subscriptions.clone();
    let found: Vec<_> = configured
        .iter()
        .filter(|(_, subscription)| caller.sees(subscription.tenant()))
        .filter(|(sub, subscription)| match key {
            SubKey::Id(id) => sub.0 == *id,
            SubKey::Name { tenant, name } => {
                subscription.name == *name && tenant.as_deref().is_none_or(|tenant| subscription.tenant() == tenant)
            }
        })
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

pub fn one(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
    let (sub, _) = find(shared, caller, key)?;
    let found = all(shared, caller)?.into_iter().find(|webhook| webhook.id == sub.0);
    found.ok_or_else(|| ControlError::NotFound(format!("no subscription {key}")))
}

/// The one of that number.
pub fn of(shared: &Shared, sub: SubId) -> Result<Webhook, ControlError> {
    let now = shared.schedule_now();
    let status =
        shared.ask(move |scheduler| scheduler.status(now)).ok_or_else(|| unavailable("the engine is stopping"))?;
    let status = status.iter().find(|lane| lane.sub == sub);
    let configured = lock(&shared.routing).subscriptions.clone();
    let config = shared.config();
    let certificates = certificates(shared);
    let ledger = shared.state.ledger();
    let found = configured.get(&sub).zip(ledger.lanes.get(&sub));
    let found = found.map(|(subscription, lane)| webhook(&config, sub, subscription, lane, status, &certificates, now));
    found.ok_or_else(|| ControlError::NotFound(format!("no subscription {}", sub.0)))
}

/// Stops sending and keeps queueing.
pub fn pause(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
    let (sub, subscription) = find(shared, caller, key)?;
    if !subscription.active {
        let message =
            format!("{key} is switched off: its events do not queue, and pausing cannot make them; switch it on first");
        return Err(ControlError::Conflict(message));
    }
    let paused = shared.state.ledger().lanes.get(&sub).and_then(|lane| lane.paused.clone());
    let reason = paused.unwrap_or_else(|| "paused by an operator".to_owned());
    let record = Record::Paused { sub, reason: reason.clone(), at: shared.clock.now() };
    shared.commit(vec![record], Then::Lanes(vec![LaneCommand::Pause { sub, reason }])).map_err(internal)?;
    one(shared, caller, key)
}

/// Sends again, what waited first.
pub fn resume(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<Webhook, ControlError> {
    let (sub, _) = find(shared, caller, key)?;
    let record = Record::Resumed { sub, at: shared.clock.now() };
    shared.commit(vec![record], Then::Lanes(vec![LaneCommand::Resume(sub)])).map_err(internal)?;
    one(shared, caller, key)
}
