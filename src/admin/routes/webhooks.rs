//! `/v1/webhooks`: subscriptions in Umbra's words.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::super::api::{Webhook, WebhookAnswer, WebhookList};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::control::{Control, ControlError, SubKey};
use super::super::extract::{NoParams, Params};
use super::super::problem::Problem;
use super::webhook_changes::with_etag;
use super::{Shared, ask};

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
) -> Result<Json<WebhookList>, Problem> {
    let webhooks = ask(&shared.control, move |control| control.subscriptions(&caller)).await?;
    Ok(Json(WebhookList { result: "success".to_owned(), webhooks }))
}

pub async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<Response, Problem> {
    let webhook = ask(&shared.control, move |control| control.subscription(&caller, &SubKey::parse(&key))).await?;
    let version = webhook.settings.version.clone();
    let answer = Json(WebhookAnswer { result: "success".to_owned(), message: None, webhook });
    Ok(with_etag(&version, answer.into_response()))
}

pub async fn pause(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<WebhookAnswer>), Problem> {
    switch(
        shared,
        caller,
        key,
        |control, caller, key| control.pause(caller, key),
        "Webhook paused: events queue until it is resumed.",
    )
    .await
}

pub async fn resume(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<WebhookAnswer>), Problem> {
    switch(shared, caller, key, |control, caller, key| control.resume(caller, key), "Webhook resumed.").await
}

type Switch = fn(&dyn Control, &Caller, &SubKey) -> Result<Webhook, ControlError>;

async fn switch(
    shared: Shared,
    caller: Caller,
    key: String,
    order: Switch,
    message: &str,
) -> Result<(Extension<Changed>, Json<WebhookAnswer>), Problem> {
    let (before, webhook) = ask(&shared.control, move |control| {
        let key = SubKey::parse(&key);
        let before = control.subscription(&caller, &key)?;
        Ok((before, order(control, &caller, &key)?))
    })
    .await?;
    let state = |webhook: &Webhook| json!({"state": webhook.state, "state_reason": webhook.state_reason});
    let changed = Changed::of_webhook(&webhook).before(state(&before)).after(state(&webhook));
    let answer = WebhookAnswer { result: "success".to_owned(), message: Some(message.to_owned()), webhook };
    Ok((Extension(changed), Json(answer)))
}
