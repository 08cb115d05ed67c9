//! `/v1/webhooks`: subscriptions in Umbra's words.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::super::api::{WebhookAnswer, WebhookList};
use super::super::control::SubKey;
use super::super::extract::{NoParams, Params};
use super::super::problem::Problem;
use super::webhook_changes::with_etag;
use super::{Shared, ask};

pub async fn list(State(shared): State<Shared>, _: Params<NoParams>) -> Result<Json<WebhookList>, Problem> {
    let webhooks = ask(&shared.control, |control| control.subscriptions()).await?;
    Ok(Json(WebhookList { result: "success".to_owned(), webhooks }))
}

pub async fn show(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<Response, Problem> {
    let webhook = ask(&shared.control, move |control| control.subscription(&SubKey::parse(&key))).await?;
    let version = webhook.settings.version.clone();
    let answer = Json(WebhookAnswer { result: "success".to_owned(), message: None, webhook });
    Ok(with_etag(&version, answer.into_response()))
}

pub async fn pause(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<WebhookAnswer>, Problem> {
    let webhook = ask(&shared.control, move |control| control.pause(&SubKey::parse(&key))).await?;
    let message = Some("Webhook paused: events queue until it is resumed.".to_owned());
    Ok(Json(WebhookAnswer { result: "success".to_owned(), message, webhook }))
}

pub async fn resume(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<WebhookAnswer>, Problem> {
    let webhook = ask(&shared.control, move |control| control.resume(&SubKey::parse(&key))).await?;
    let message = Some("Webhook resumed.".to_owned());
    Ok(Json(WebhookAnswer { result: "success".to_owned(), message, webhook }))
}
