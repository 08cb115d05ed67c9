//! The table of routes and what all of them share.

mod accept;
mod attempts;
mod changes;
mod deliveries;
mod events;
mod metrics;
mod poll;
mod quarantine;
mod record;
mod replays;
mod stats;
mod stream;
mod system;
mod table;
mod tokens;
mod webhook_changes;
mod webhooks;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use self::table::Table;
use super::access;
use super::api::Page;
use super::caller::{Caller, Scope};
use super::control::{Control, ControlError};
use super::door::{self, Door};
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
    door: Arc<Door>,
    poll_seats: Arc<Semaphore>,
    polls_max: usize,
    traffic: Arc<Traffic>,
}

/// Every route, twice: as the unix socket serves it, where everybody is the same caller, and as TCP does at `tcp`, where a
/// token says who asks. There may be so many `connections` over TCP.
pub(super) fn whole(
    control: Arc<dyn Control>,
    live: LiveHub,
    door: Arc<Door>,
    tcp: SocketAddr,
    connections: usize,
    stopped: watch::Receiver<bool>,
) -> (Router, Router) {
    let seats = Arc::new(Semaphore::new(stream::CLIENTS_MAX));
    let polls_max = poll::waiting_max(connections);
    let poll_seats = Arc::new(Semaphore::new(polls_max));
    let traffic = Arc::new(Traffic::default());
    let shared = Shared {
        control: control.clone(),
        live,
        stopped,
        stream_seats: seats,
        door: door.clone(),
        poll_seats,
        polls_max,
        traffic: traffic.clone(),
    };
    let (api, _) = table().into_parts();
    let api = api.route_layer(middleware::from_fn_with_state(traffic, traffic::count));
    let routes = api.with_state(shared).layer(Extension(door.clone())).merge(health(control));
    let all = answers(routes.route_layer(middleware::from_fn(access::name_route)));
    let over_tcp = access::logged(door::over_tcp(all.clone(), door.clone(), tcp), door);
    (finish(all.layer(Extension(Caller::socket()))), finish(over_tcp))
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
        .post("/v1/webhooks", Admin, webhook_changes::create)
        .put("/v1/webhooks/{id}", Admin, webhook_changes::change)
        .delete("/v1/webhooks/{id}", Admin, webhook_changes::delete)
        .post("/v1/webhooks/{id}/test", Admin, webhook_changes::test)
        .post("/v1/webhooks/{id}/secret/rotate", Admin, webhook_changes::rotate)
        .post("/v1/webhooks/{id}/pause", Admin, webhooks::pause)
        .post("/v1/webhooks/{id}/resume", Admin, webhooks::resume)
        .get("/v1/deliveries", Read, deliveries::list)
        .get("/v1/deliveries/{id}", Read, deliveries::show)
        .post("/v1/deliveries/{id}/replay", Replay, deliveries::replay_one)
        .get("/v1/deliveries/{id}/attempts/{n}", Read, attempts::show)
        .get("/v1/deliveries/{id}/attempts/{n}/request.body", Read, attempts::request_body)
        .get("/v1/deliveries/{id}/attempts/{n}/response.body", Read, attempts::response_body)
        .post("/v1/deliveries/{id}/cancel", Replay, replays::cancel_delivery)
        .post("/v1/replays", Replay, replays::start)
        .get("/v1/replays", Replay, replays::list)
        .get("/v1/replays/{id}", Replay, replays::show)
        .delete("/v1/replays/{id}", Replay, replays::cancel)
        .get("/v1/events", Read, poll::poll)
        .post("/v1/events", Admin, accept::accept)
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
        .get("/v1/tokens", Admin, tokens::list)
        .post("/v1/tokens", Admin, tokens::create)
        .delete("/v1/tokens/{id}", Admin, tokens::revoke)
        .get("/v1/changes", Admin, changes::list)
        .get("/v1/stats", Read, stats::stats)
        .get("/v1/openapi.json", Read, stats::document)
        .post("/v1/backup", Admin, system::backup)
        .get("/metrics", Read, metrics::metrics)
}

fn health(control: Arc<dyn Control>) -> Router {
    Router::new().route("/livez", get(system::livez)).route("/readyz", get(system::readyz)).with_state(control)
}

fn answers(router: Router) -> Router {
    router
        .fallback(async |uri: Uri| Problem::new(ProblemKind::NotFound, format!("there is no route {}", uri.path())))
        .method_not_allowed_fallback(async |uri: Uri| {
            Problem::new(ProblemKind::MethodNotAllowed, format!("{} does not take this method", uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

fn finish(router: Router) -> Router {
    router
        .layer(middleware::map_response(async |response: Response| {
            let mut response = as_problem(response);
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }))
        .layer(middleware::from_fn(door::with_request_id))
}

/// A refusal of the router itself, such as a path that is no UTF-8, in the form of all others.
fn as_problem(response: Response) -> Response {
    let is_text =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/"));
    if response.status() != StatusCode::BAD_REQUEST || !is_text {
        return response;
    }
    Problem::new(ProblemKind::Malformed, "the path cannot be read: it is not UTF-8").into_response()
}

/// Asks the engine on a blocking thread.
async fn ask<T: Send + 'static>(
    control: &Arc<dyn Control>,
    question: impl FnOnce(&dyn Control) -> Result<T, ControlError> + Send + 'static,
) -> Result<T, Problem> {
    let control = control.clone();
    blocking(move || question(control.as_ref())).await
}

/// Does what may wait for a disk on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ControlError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
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
