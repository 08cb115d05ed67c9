//! One attempt, with the request rendered anew: rendering is a function of the event, the attempt and the subscription.

use std::sync::Arc;

use super::deliveries::{Found, find, subscription_of};
use super::internal;
use crate::admin::api::{AttemptDetail, AttemptView, BodyOf, RequestView};
use crate::admin::{Caller, ControlError, Scope};
use crate::engine::running::Shared;
use crate::model::{Attempt, DeliveryId, Subscription};
use crate::wire::{RenderInput, Request};

/// Bytes of a body shown beside other things.
const BODY_BYTES_SHOWN: usize = 64 << 10;
/// What stands for a secret.
const MASK: &str = "***";

fn attempt_of(shared: &Shared, caller: &Caller, id: &str, number: u32) -> Result<(Found, Attempt), ControlError> {
    let found = find(shared, caller, id)?;
    let attempt = found.attempts.iter().find(|attempt| attempt.number == number).cloned();
    let attempt = attempt.ok_or_else(|| {
        let known: Vec<_> = found.attempts.iter().map(|attempt| attempt.number.to_string()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        ControlError::NotFound(format!("attempt {number} of this delivery is not in the history; kept are: {known}"))
    })?;
    Ok((found, attempt))
}

/// The request of an attempt, if what it is made of is still there.
fn request(
    shared: &Shared,
    found: &Found,
    attempt: &Attempt,
) -> Result<Option<(Arc<Subscription>, Request)>, ControlError> {
    let Ok(subscription) = subscription_of(shared, found.key.sub) else { return Ok(None) };
    let event = shared.log.event_at(found.facts.position, found.key.seq, found.facts.seen).map_err(internal)?;
    let config = shared.config();
    let (Some(event), Some(dialect)) = (event, config.dialects.get(&subscription.dialect)) else { return Ok(None) };
    let input = RenderInput {
        event: &event,
        subscription: &subscription,
        delivery: DeliveryId(uuid::Uuid::from_bytes(found.facts.delivery)),
        attempt: attempt.number,
        now: attempt.started,
    };
    let request = dialect.render(&input).map_err(internal)?;
    Ok(Some((subscription, request)))
}

/// The headers in the order of the wire: the dialect's, the subscription's own instead of its or behind them, the token.
fn headers(subscription: &Subscription, request: &Request) -> Vec<(String, String)> {
    let is_own = |name: &str| subscription.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let token = ("Authorization".to_owned(), format!("Bearer {MASK}"));
    let token = subscription.oauth2.as_ref().map(|_| token);
    let is_replaced = |name: &str| is_own(name) || token.is_some() && name.eq_ignore_ascii_case("authorization");
    let masked = |name: &str, value: &str| match name.to_ascii_lowercase().as_str() {
        "authorization" | "proxy-authorization" | "cookie" => MASK.to_owned(),
        _ => value.to_owned(),
    };
    let rendered = request.headers.iter().filter(|(name, _)| !is_replaced(name));
    let rendered = rendered.map(|(name, value)| (name.clone(), masked(name, value)));
    let is_sent = |name: &str| token.is_none() || !name.eq_ignore_ascii_case("authorization");
    let own =
        subscription.headers.iter().filter(|(name, _)| is_sent(name)).map(|(name, _)| (name.clone(), MASK.to_owned()));
    rendered.chain(own).chain(token.clone()).collect()
}

/// One attempt of a delivery.
pub fn show(shared: &Shared, caller: &Caller, id: &str, number: u32) -> Result<AttemptView, ControlError> {
    let (found, attempt) = attempt_of(shared, caller, id, number)?;
    let request = request(shared, &found, &attempt)?.map(|(subscription, request)| {
        let shown = &request.body[..request.body.len().min(BODY_BYTES_SHOWN)];
        RequestView {
            method: "POST".to_owned(),
            // It may hold a token.
            url: if caller.scope < Scope::Admin { subscription.masked_url() } else { subscription.url.clone() },
            headers: headers(&subscription, &request),
            body: String::from_utf8_lossy(shown).into_owned(),
            body_bytes: request.body.len() as u64,
            body_truncated: shown.len() < request.body.len(),
            source: "rendered".to_owned(),
        }
    });
    let delivery_id = uuid::Uuid::from_bytes(found.facts.delivery).to_string();
    Ok(AttemptView { delivery_id, attempt: AttemptDetail::from(&attempt), request })
}

/// The exact bytes of a body.
pub fn body(shared: &Shared, caller: &Caller, id: &str, number: u32, of: BodyOf) -> Result<Vec<u8>, ControlError> {
    let (found, attempt) = attempt_of(shared, caller, id, number)?;
    match of {
        BodyOf::Response => Ok(attempt.exchange.response_body),
        BodyOf::Request => {
            let gone = || {
                ControlError::NotFound("the event of this attempt, or its subscription, is no longer kept".to_owned())
            };
            request(shared, &found, &attempt)?.map(|(_, request)| request.body).ok_or_else(gone)
        }
    }
}
