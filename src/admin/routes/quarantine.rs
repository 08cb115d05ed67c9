//! `/v1/quarantine`: lines that are not events, and what to do with them.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::json;

use super::super::api::{QuarantineAnswer, QuarantineDetail};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::extract::{NoParams, PageParams, Params};
use super::super::problem::Problem;
use super::{Shared, ask, page};

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<PageParams>,
) -> Result<Response, Problem> {
    let request = params.0.read()?;
    let found = ask(&shared.control, move |control| control.quarantine(&caller, &request)).await?;
    Ok(page(&uri, found))
}

pub async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<QuarantineDetail>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.quarantined(&caller, &id)).await?))
}

pub async fn retry(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<QuarantineAnswer>), Problem> {
    Ok(told("retried", ask(&shared.control, move |control| control.quarantine_retry(&caller, &id)).await?))
}

pub async fn drop_one(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<QuarantineAnswer>), Problem> {
    Ok(told("dropped", ask(&shared.control, move |control| control.quarantine_drop(&caller, &id)).await?))
}

fn told(state: &str, answer: QuarantineAnswer) -> (Extension<Changed>, Json<QuarantineAnswer>) {
    let changed = Changed::of(format!("quarantined line {}", answer.id));
    (Extension(changed.before(json!({"state": "held"})).after(json!({"state": state}))), Json(answer))
}
