//! The table of routes and what all of them share.

mod deliveries;
mod events;
mod quarantine;
mod stream;
mod system;
mod webhooks;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use super::api::Page;
use super::control::{Control, ControlError};
use super::extract::BODY_BYTES_MAX;
use super::live::LiveHub;
use super::problem::{Problem, ProblemKind};

/// What handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    control: Arc<dyn Control>,
    live: LiveHub,
    stopped: watch::Receiver<bool>,
    stream_seats: Arc<Semaphore>,
}

/// Every route: for the unix socket.
pub(super) fn whole(control: Arc<dyn Control>, live: LiveHub, stopped: watch::Receiver<bool>) -> Router {
    let seats = Arc::new(Semaphore::new(stream::CLIENTS_MAX));
    let shared = Shared { control: control.clone(), live, stopped, stream_seats: seats };
    let api = Router::new()
        .route("/v1/webhooks", get(webhooks::list))
        .route("/v1/webhooks/{id}", get(webhooks::show))
        .route("/v1/webhooks/{id}/pause", post(webhooks::pause))
        .route("/v1/webhooks/{id}/resume", post(webhooks::resume))
        .route("/v1/deliveries", get(deliveries::list))
        .route("/v1/deliveries/{id}", get(deliveries::show))
        .route("/v1/deliveries/{id}/replay", post(deliveries::replay_one))
        .route("/v1/replays", post(deliveries::replay_many))
        .route("/v1/events", get(events::list))
        .route("/v1/events/match", post(events::match_event))
        .route("/v1/events/{id}", get(events::show))
        .route("/v1/stream", get(stream::stream))
        .route("/v1/quarantine", get(quarantine::list))
        .route("/v1/quarantine/{id}", get(quarantine::show).delete(quarantine::drop_one))
        .route("/v1/quarantine/{id}/retry", post(quarantine::retry))
        .route("/v1/audit", get(system::audit))
        .route("/v1/status", get(system::status))
        .route("/v1/version", get(system::version))
        .route("/v1/config/reload", post(system::reload))
        .with_state(shared);
    finish(api.merge(health(control)))
}

/// Liveness and readiness only: for TCP.
pub(super) fn probes(control: Arc<dyn Control>) -> Router {
    finish(health(control))
}

fn health(control: Arc<dyn Control>) -> Router {
    Router::new().route("/livez", get(system::livez)).route("/readyz", get(system::readyz)).with_state(control)
}

fn finish(router: Router) -> Router {
    router
        .fallback(async |uri: Uri| Problem::new(ProblemKind::NotFound, format!("there is no route {}", uri.path())))
        .method_not_allowed_fallback(async |uri: Uri| {
            Problem::new(ProblemKind::MethodNotAllowed, format!("{} does not take this method", uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::map_response(async |mut response: Response| {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }))
}

/// Asks the engine on a blocking thread.
async fn ask<T: Send + 'static>(
    control: &Arc<dyn Control>,
    question: impl FnOnce(&dyn Control) -> Result<T, ControlError> + Send + 'static,
) -> Result<T, Problem> {
    let control = control.clone();
    match tokio::task::spawn_blocking(move || question(control.as_ref())).await {
        Ok(answer) => answer.map_err(Problem::from),
        Err(error) => {
            tracing::error!(%error, "a question to the engine panicked");
            Err(Problem::new(ProblemKind::Internal, "the engine could not answer; its log says why"))
        }
    }
}

/// A page with `Link: <...>; rel="next"` (RFC 8288) when there is more.
fn page<T: Serialize>(uri: &Uri, page: Page<T>) -> Response {
    let next = page.next_cursor.clone().filter(|_| page.has_more);
    with_next(uri, next.as_deref(), Json(page).into_response())
}

fn with_next(uri: &Uri, cursor: Option<&str>, mut response: Response) -> Response {
    let Some(cursor) = cursor else { return response };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name != "cursor" && name != "after" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("cursor", cursor);
    if let Ok(link) = HeaderValue::try_from(format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish())) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
