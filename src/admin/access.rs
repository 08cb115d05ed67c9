//! A line in the log for every request over TCP: who asked for what, and what came of it. It names the route and never the
//! path, and of a token the name.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;

use super::door::{Asker, Door, RequestId};

/// The route that answered, as the table has it.
#[derive(Clone)]
struct Route(String);

/// Notes which route answers.
pub async fn name_route(path: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Route(path.as_str().to_owned()));
    response
}

/// Has every request to `router` logged: as `[logging] access` says, else at the level `debug`.
pub fn logged(router: Router, door: Arc<Door>) -> Router {
    router.layer(middleware::from_fn_with_state(door, log))
}

async fn log(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let is_wanted = door.logs_access();
    if !is_wanted && !tracing::enabled!(tracing::Level::DEBUG) {
        return next.run(request).await;
    }
    let begun = door.monotonic();
    let method = request.method().clone();
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    let mut response = next.run(request).await;
    let route = response.extensions_mut().remove::<Route>().map(|route| route.0);
    let token = response.extensions_mut().remove::<Asker>().map(|asker| asker.0);
    let duration_ms = u64::try_from(door.monotonic().saturating_sub(begun).as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                method = method.as_str(),
                route = route.as_deref().unwrap_or("none"),
                status = response.status().as_u16(),
                duration_ms,
                token = token.as_deref().unwrap_or("none"),
                request_id,
                "request"
            )
        };
    }
    match is_wanted {
        true => line!(info),
        false => line!(debug),
    }
    response
}
