//! `/v1/events`: the log as a poll reads it, one event with its matches, and the dry run.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};

use super::super::api::{EventDetail, MatchReport};
use super::super::caller::Caller;
use super::super::extract::{Body, NoParams, PageParams, Params};
use super::super::problem::Problem;
use super::{Shared, ask, with_next};

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<PageParams>,
) -> Result<Response, Problem> {
    let page = params.0.read()?;
    let events = ask(&shared.control, move |control| control.events(&caller, &page)).await?;
    let next = events.has_more.then(|| events.next_cursor.clone());
    Ok(with_next(&uri, next.as_deref(), Json(events).into_response()))
}

pub async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<EventDetail>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.event(&caller, &id)).await?))
}

pub async fn match_event(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
    body: Body,
) -> Result<Json<MatchReport>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.match_event(&caller, &body.0)).await?))
}
