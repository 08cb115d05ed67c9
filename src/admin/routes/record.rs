//! Writes down what a request changed, before its answer goes out.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;

use crate::admin::caller::Caller;
use crate::admin::changes::{Changed, NewChange};
use crate::admin::door::{Door, RequestId};

/// What is known of a write before it is made.
pub(super) struct Recorder {
    caller: Caller,
    method: &'static str,
    route: &'static str,
    path: String,
    request_id: Option<String>,
}

impl Recorder {
    pub(super) fn new(caller: Caller, method: &'static str, route: &'static str, request: &Request) -> Self {
        let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
        Self { caller, method, route, path: request.uri().path().to_owned(), request_id }
    }

    /// Records the write if it succeeded, with what its handler says about it.
    pub(super) async fn record(self, door: &Arc<Door>, mut response: Response) -> Response {
        let changed = response.extensions_mut().remove::<Changed>().unwrap_or_default();
        if !response.status().is_success() || changed.is_nothing {
            return response;
        }
        let change = NewChange {
            // Tenants may have tokens of one name.
            by: match &self.caller.tenant {
                Some(tenant) => format!("{tenant}/{}", self.caller.name),
                None => self.caller.name,
            },
            tenant: changed.tenant.or(self.caller.tenant),
            method: Some(self.method.to_owned()),
            route: Some(self.route.to_owned()),
            thing: if changed.thing.is_empty() { self.path } else { changed.thing },
            before: changed.before,
            after: changed.after,
            request_id: self.request_id,
        };
        let door = door.clone();
        let recorded = tokio::task::spawn_blocking(move || door.changes.record(change)).await;
        // The change is made and cannot be taken back: whoever made it is told so, and the log says what is missing where.
        match recorded {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, route = self.route, "a change could not be recorded"),
            Err(error) => tracing::error!(%error, route = self.route, "recording a change panicked"),
        }
        response
    }
}
