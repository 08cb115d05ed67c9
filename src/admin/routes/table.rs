//! Routes together with what each of them asks of its caller, so that whoever has to know every route (the document, the
//! tests of who may do what) reads the same list.

use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use axum::{Extension, Router};

use super::Shared;
use super::record::Recorder;
use crate::admin::caller::{Caller, Scope};
use crate::admin::door::Door;
use crate::admin::problem::Problem;

/// One route, as the document and tests see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// `GET`, in capitals.
    pub method: &'static str,
    /// With parameters in braces: `/v1/webhooks/{id}`.
    pub path: &'static str,
    pub scope: Scope,
}

/// The routes so far.
pub(super) struct Table {
    router: Router<Shared>,
    routes: Vec<RouteInfo>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), routes: Vec::new() }
    }

    pub(super) fn get<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("GET", MethodFilter::GET, path, scope, handler)
    }

    pub(super) fn post<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("POST", MethodFilter::POST, path, scope, handler)
    }

    pub(super) fn put<H: Handler<T, Shared>, T: 'static>(self, path: &'static str, scope: Scope, handler: H) -> Self {
        self.add("PUT", MethodFilter::PUT, path, scope, handler)
    }

    pub(super) fn delete<H: Handler<T, Shared>, T: 'static>(
        self,
        path: &'static str,
        scope: Scope,
        handler: H,
    ) -> Self {
        self.add("DELETE", MethodFilter::DELETE, path, scope, handler)
    }

    fn add<H: Handler<T, Shared>, T: 'static>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        scope: Scope,
        handler: H,
    ) -> Self {
        let check = move |caller: Caller, Extension(door): Extension<Arc<Door>>, request: Request, next: Next| async move {
            caller.needs(scope)?;
            // Who may only look changes nothing.
            let recorder =
                (method != "GET" && scope > Scope::Read).then(|| Recorder::new(caller, method, path, &request));
            let response = next.run(request).await;
            match recorder {
                Some(recorder) => Ok(recorder.record(&door, response).await),
                None => Ok::<Response, Problem>(response),
            }
        };
        let check = middleware::from_fn(check);
        self.routes.push(RouteInfo { method, path, scope });
        self.router = self.router.route(path, on(filter, handler).route_layer(check));
        self
    }

    pub(super) fn into_parts(self) -> (Router<Shared>, Vec<RouteInfo>) {
        (self.router, self.routes)
    }
}
