//! The table of routes and what all of them share.

mod deliveries;
mod events;
mod metrics;
mod quarantine;
mod stats;
mod stream;
mod system;
mod table;
mod webhooks;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use self::table::Table;
use super::api::Page;
use super::caller::{Caller, Scope};
use super::control::{Control, ControlError};
use super::extract::BODY_BYTES_MAX;
use super::live::LiveHub;
use super::problem::{Problem, ProblemKind};
use super::traffic::{self, Traffic};

pub use self::table::RouteInfo;

/// What handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    control: Arc<dyn Control>,
    live: LiveHub,
    stopped: watch::Receiver<bool>,
    stream_seats: Arc<Semaphore>,
    traffic: Arc<Traffic>,
}

/// Every route: for the unix socket.
pub(super) fn whole(control: Arc<dyn Control>, live: LiveHub, stopped: watch::Receiver<bool>) -> Router {
    let seats = Arc::new(Semaphore::new(stream::CLIENTS_MAX));
    let traffic = Arc::new(Traffic::default());
    let shared = Shared { control: control.clone(), live, stopped, stream_seats: seats, traffic: traffic.clone() };
    let (api, _) = table().into_parts();
    let api = api.route_layer(middleware::from_fn_with_state(traffic, traffic::count));
    finish(api.with_state(shared).layer(Extension(Caller::socket())).merge(health(control)))
}

/// Every route but the probes, with what it asks of its caller.
pub fn routes() -> Vec<RouteInfo> {
    table().into_parts().1
}

fn table() -> Table {
    use Scope::{Admin, Read, Replay};
    Table::new()
        .get("/v1/webhooks", Read, webhooks::list)
        .get("/v1/webhooks/{id}", Read, webhooks::show)
        .post("/v1/webhooks/{id}/pause", Admin, webhooks::pause)
        .post("/v1/webhooks/{id}/resume", Admin, webhooks::resume)
        .get("/v1/deliveries", Read, deliveries::list)
        .get("/v1/deliveries/{id}", Read, deliveries::show)
        .post("/v1/deliveries/{id}/replay", Replay, deliveries::replay_one)
        .post("/v1/replays", Replay, deliveries::replay_many)
        .get("/v1/events", Read, events::list)
        .post("/v1/events/match", Read, events::match_event)
        .get("/v1/events/{id}", Read, events::show)
        .get("/v1/stream", Read, stream::stream)
        .get("/v1/quarantine", Read, quarantine::list)
        .get("/v1/quarantine/{id}", Read, quarantine::show)
        .delete("/v1/quarantine/{id}", Admin, quarantine::drop_one)
        .post("/v1/quarantine/{id}/retry", Admin, quarantine::retry)
        .get("/v1/audit", Read, system::audit)
        .get("/v1/status", Read, system::status)
        .get("/v1/version", Read, system::version)
        .post("/v1/config/reload", Admin, system::reload)
        .get("/v1/stats", Read, stats::stats)
        .get("/v1/openapi.json", Read, stats::document)
        .post("/v1/backup", Admin, system::backup)
        .get("/metrics", Read, metrics::metrics)
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
