//! `/v1/quarantine`: lines that are not events, and what to do with them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;

use super::super::api::{QuarantineAnswer, QuarantineDetail};
use super::super::extract::{NoParams, PageParams, Params};
use super::super::problem::Problem;
use super::{Shared, ask, page};

pub async fn list(State(shared): State<Shared>, uri: Uri, params: Params<PageParams>) -> Result<Response, Problem> {
    let request = params.0.read()?;
    let found = ask(&shared.control, move |control| control.quarantine(&request)).await?;
    Ok(page(&uri, found))
}

pub async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<QuarantineDetail>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.quarantined(&id)).await?))
}

pub async fn retry(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<QuarantineAnswer>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.quarantine_retry(&id)).await?))
}

pub async fn drop_one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<QuarantineAnswer>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.quarantine_drop(&id)).await?))
}
