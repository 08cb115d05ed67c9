//! `/v1/webhooks`: subscriptions in Umbra's words.

use axum::Json;
use axum::extract::{Path, State};

use super::super::api::{WebhookAnswer, WebhookList};
use super::super::control::SubKey;
use super::super::extract::{NoParams, Params};
use super::super::problem::Problem;
use super::{Shared, ask};

pub async fn list(State(shared): State<Shared>, _: Params<NoParams>) -> Result<Json<WebhookList>, Problem> {
    let webhooks = ask(&shared.control, |control| control.subscriptions()).await?;
    Ok(Json(WebhookList { result: "success".to_owned(), webhooks }))
}

pub async fn show(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<WebhookAnswer>, Problem> {
    let webhook = ask(&shared.control, move |control| control.subscription(&SubKey::parse(&key))).await?;
    Ok(Json(WebhookAnswer { result: "success".to_owned(), message: None, webhook }))
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
