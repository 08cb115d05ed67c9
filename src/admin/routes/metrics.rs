//! `/metrics`: for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::super::caller::Caller;
use super::super::extract::{NoParams, Params};
use super::super::problem::Problem;
use super::{Shared, ask, stream};

/// The exposition format that is written, whatever `Accept` says: every Prometheus reads it.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the engine counts, and what the control plane counts. Who sees one tenant gets that tenant's series only.
pub async fn metrics(State(shared): State<Shared>, caller: Caller, _: Params<NoParams>) -> Result<Response, Problem> {
    let sees_all = caller.tenant.is_none();
    let mut text = ask(&shared.control, move |control| control.metrics(&caller)).await?;
    if sees_all {
        let readers = stream::CLIENTS_MAX - shared.stream_seats.available_permits();
        text.push_str(&shared.traffic.render(readers));
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
