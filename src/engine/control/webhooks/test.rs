//! One request to a webhook's receiver, now: in the shape, with the signature and over the transport of its deliveries, and in
//! no book. A paused webhook can be tried, and one that is switched off.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;

use super::{find, random, whole};
use crate::admin::api::WebhookTested;
use crate::admin::{Caller, ControlError, SubKey};
use crate::dispatch::{exchange, outcome};
use crate::engine::control::internal;
use crate::engine::running::{Shared, lock};
use crate::engine::target::Target;
use crate::http::Transport;
use crate::ingest::parse_line;
use crate::model::{DeliveryId, Event, Outcome, Position, SegmentId, Subscription};
use crate::wire::RenderInput;

/// Whoever asks waits for the answer. Shorter than an engine that is to be built anew waits for questions to end.
const TIMEOUT_MAX: Duration = Duration::from_secs(15);

pub fn test(shared: &Shared, caller: &Caller, key: &SubKey, event: &[u8]) -> Result<WebhookTested, ControlError> {
    let (_, found) = find(shared, caller, key)?;
    if let Some(reason) = &found.withheld {
        return Err(ControlError::Conflict(format!("the webhook is out of force: {reason}")));
    }
    let is_it = |each: &Subscription| each.name == found.name && each.tenant() == found.tenant();
    let ready = lock(&shared.ready).iter().find(|(each, _)| is_it(each)).cloned();
    let (subscription, target) = ready.ok_or_else(|| internal("the webhook is not ready to send"))?;
    let id = uuid::Builder::from_custom_bytes(random()?).into_uuid();
    let event = event_of(shared, &subscription, event, &id.simple().to_string())?;
    let input = RenderInput {
        event: &event,
        subscription: &subscription,
        delivery: DeliveryId(id),
        attempt: 1,
        now: shared.clock.now(),
    };
    let request = crate::dispatch::worker::Target::render(&*target, &input);
    let timeout = subscription.timeout.min(TIMEOUT_MAX);
    let evidence = shared.transport().send(endpoint(&target), &request, timeout);
    let duration_ms = u32::try_from(evidence.elapsed.as_millis()).unwrap_or(u32::MAX);
    let outcome = outcome(&evidence);
    let exchange = exchange(evidence);
    let message = match exchange.status_code {
        Some(status) => format!("The receiver answered {status}."),
        None => format!("There is no answer: {}", exchange.error),
    };
    tracing::info!(
        by = caller.name,
        tenant = subscription.tenant(),
        subscription = subscription.name,
        outcome = outcome.as_str(),
        "webhook tested"
    );
    Ok(WebhookTested {
        result: if outcome == Outcome::Success { "success" } else { "error" }.to_owned(),
        message,
        delivery_id: id.to_string(),
        event_type: event.event_type.to_string(),
        outcome,
        status_code: exchange.status_code,
        duration_ms,
        remote_address: Some(exchange.remote_address).filter(|address| !address.is_empty()),
        request_bytes: exchange.request_bytes,
        response_headers: exchange.response_headers,
        response_body: String::from_utf8_lossy(&exchange.response_body).into_owned(),
        error: Some(exchange.error).filter(|error| !error.is_empty()),
    })
}

fn endpoint(target: &Target) -> &crate::http::Endpoint {
    crate::dispatch::worker::Target::endpoint(target)
}

/// The event that `body` describes, in the webhook's tenant; what it leaves out is filled in.
fn event_of(shared: &Shared, subscription: &Subscription, body: &[u8], id: &str) -> Result<Event, ControlError> {
    let mut members: BTreeMap<String, Box<RawValue>> = match body.trim_ascii() {
        [] => BTreeMap::new(),
        body => serde_json::from_slice(body).map_err(|error| {
            ControlError::Fields(vec![whole(format!("the body is not the JSON object of an event: {error}"))])
        })?,
    };
    let raw = |value: serde_json::Value| RawValue::from_string(value.to_string()).map_err(internal);
    let defaults = [
        ("type", serde_json::json!("webhook.test")),
        ("id", serde_json::json!(format!("test_{id}"))),
        ("data", serde_json::json!({ "message": "A test of this webhook", "subscription": subscription.name })),
    ];
    members.insert("tenant".to_owned(), raw(subscription.tenant().into())?);
    for (name, value) in defaults {
        if !members.contains_key(name) {
            members.insert(name.to_owned(), raw(value)?);
        }
    }
    let line = serde_json::to_vec(&members).map_err(internal)?;
    let nowhere = Position { segment: SegmentId(0), offset: 0 };
    parse_line(&line, nowhere, 0, shared.clock.now()).map_err(|rejection| {
        ControlError::Fields(vec![whole(format!("{}: {}", rejection.reason.as_str(), rejection.detail))])
    })
}
