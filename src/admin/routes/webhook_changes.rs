//! `/v1/webhooks`: making, changing, deleting and trying them, with Umbra's messages.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::super::api::{WebhookChanged, WebhookCreated, WebhookRotated, WebhookTested};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::control::SubKey;
use super::super::extract::{Body, NoParams, Params, idempotency_key, malformed};
use super::super::problem::{Problem, ProblemKind};
use super::super::webhook_control::{IfMatch, NewWebhook, Rotation, WebhookChange, WebhookWritten};
use super::{Shared, ask};
use crate::model::Secret;

/// Largest description of a webhook, or of its test event.
const BODY_MAX: usize = 64 << 10;

/// Tests hold a thread of the control plane while they wait for a receiver.
static TESTS: Semaphore = Semaphore::const_new(4);

/// `?dry_run=true` says what would come of a change and makes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeParams {
    #[serde(default)]
    dry_run: bool,
}

/// The body is an object, whatever its content type says.
fn members(body: &Body) -> Result<Map<String, Value>, Problem> {
    if body.0.len() > BODY_MAX {
        return Err(Problem::new(ProblemKind::TooLarge, format!("a webhook may take {BODY_MAX} bytes")));
    }
    match body.json()? {
        Value::Object(members) => Ok(members),
        _ => Err(malformed("the body is not a JSON object")),
    }
}

fn header_text<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(malformed(format!("the header {name} holds more than visible ASCII"))),
    }
}

fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    Ok(header_text(headers, "if-match")?.map(IfMatch::parse).unwrap_or_default())
}

/// Adds the webhook's version.
pub(super) fn with_etag(version: &str, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn unchanged(warnings: WebhookWritten) -> Response {
    let (result, message) = ("success".to_owned(), "Valid; nothing was changed.".to_owned());
    let answer = WebhookChanged { result, message, webhook: None, warnings: warnings.warnings };
    (Extension(Changed::nothing()), Json(answer)).into_response()
}

pub async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    params: Params<ChangeParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let members = members(&body)?;
    let key = idempotency_key(&headers)?;
    let request = NewWebhook { members, body: body.0, key, dry_run: params.0.dry_run };
    let mut written = ask(&shared.control, move |control| control.webhook_create(&caller, &request)).await?;
    let Some(webhook) = written.webhook.take() else { return Ok(unchanged(written)) };
    let (id, version) = (webhook.id, webhook.settings.version.clone());
    let changed = if written.is_repeated { Changed::nothing() } else { Changed::webhook(None, Some(&webhook)) };
    let answer = WebhookCreated {
        result: "success".to_owned(),
        message: "Webhook created successfully.".to_owned(),
        id,
        secret: written.secret,
        webhook,
        warnings: written.warnings,
    };
    let place = [(header::LOCATION, format!("/v1/webhooks/{id}"))];
    Ok(with_etag(&version, (StatusCode::CREATED, place, Extension(changed), Json(answer)).into_response()))
}

pub async fn change(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    params: Params<ChangeParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (members, if_match) = (members(&body)?, if_match(&headers)?);
    let change = WebhookChange { members, if_match, dry_run: params.0.dry_run };
    let asked = move |control: &dyn super::Control| control.webhook_change(&caller, &SubKey::parse(&key), &change);
    let mut written = ask(&shared.control, asked).await?;
    let Some(webhook) = written.webhook.take() else { return Ok(unchanged(written)) };
    let version = webhook.settings.version.clone();
    let changed = Changed::webhook(written.before.as_ref(), Some(&webhook));
    let answer = WebhookChanged {
        result: "success".to_owned(),
        message: "Webhook updated successfully.".to_owned(),
        webhook: Some(webhook),
        warnings: written.warnings,
    };
    Ok(with_etag(&version, (Extension(changed), Json(answer)).into_response()))
}

pub async fn delete(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
    headers: HeaderMap,
) -> Result<(Extension<Changed>, Json<WebhookChanged>), Problem> {
    let if_match = if_match(&headers)?;
    let was =
        ask(&shared.control, move |control| control.webhook_delete(&caller, &SubKey::parse(&key), &if_match)).await?;
    let (result, message) = ("success".to_owned(), "Webhook deleted successfully.".to_owned());
    let answer = WebhookChanged { result, message, webhook: None, warnings: Vec::new() };
    Ok((Extension(Changed::webhook(Some(&was), None)), Json(answer)))
}

/// 202 with what came of it: the request was made, whatever the receiver said.
pub async fn test(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
    body: Body,
) -> Result<(StatusCode, Extension<Changed>, Json<WebhookTested>), Problem> {
    if body.0.len() > BODY_MAX {
        return Err(Problem::new(ProblemKind::TooLarge, format!("a test event may take {BODY_MAX} bytes")));
    }
    let Ok(_seat) = TESTS.try_acquire() else {
        return Err(Problem::new(ProblemKind::Unavailable, "too many tests wait for their receivers; try again"));
    };
    let (webhook, tested) = ask(&shared.control, move |control| {
        let key = SubKey::parse(&key);
        Ok((control.subscription(&caller, &key)?, control.webhook_test(&caller, &key, &body.0)?))
    })
    .await?;
    let changed = Changed::of_webhook(&webhook).after(json!({"tested": tested.outcome.as_str()}));
    Ok((StatusCode::ACCEPTED, Extension(changed), Json(tested)))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    overlap: Option<String>,
    secret: Option<String>,
}

pub async fn rotate(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
    body: Body,
) -> Result<(Extension<Changed>, Json<WebhookRotated>), Problem> {
    let body: RotateBody = if body.0.is_empty() { RotateBody::default() } else { body.json()? };
    let rotation = Rotation { overlap: body.overlap, secret: body.secret.map(Secret::new) };
    let (before, rotated, after) = ask(&shared.control, move |control| {
        let key = SubKey::parse(&key);
        let before = control.subscription(&caller, &key)?;
        let rotated = control.webhook_rotate(&caller, &key, &rotation)?;
        // The new secret is told here only, so that nothing may fail behind it.
        Ok((before, rotated, control.subscription(&caller, &key).ok()))
    })
    .await?;
    Ok((Extension(Changed::webhook(Some(&before), after.as_ref())), Json(rotated)))
}
