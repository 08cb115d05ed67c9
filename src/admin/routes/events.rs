//! `/v1/events/...`: one event with its matches, and the dry run.

use axum::Json;
use axum::extract::{Path, State};

use super::super::api::{EventDetail, MatchReport};
use super::super::caller::Caller;
use super::super::extract::{Body, NoParams, Params};
use super::super::problem::Problem;
use super::{Shared, ask};

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
