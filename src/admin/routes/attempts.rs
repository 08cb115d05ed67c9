//! `/v1/deliveries/{id}/attempts/{n}`: one attempt, and the exact bytes that went and came.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::super::api::{AttemptView, BodyOf};
use super::super::caller::Caller;
use super::super::control::SHORTEST_PREFIX;
use super::super::extract::{NoParams, Params, malformed};
use super::super::problem::Problem;
use super::{Shared, ask};

fn number(id: &str, text: &str) -> Result<u32, Problem> {
    if id.len() < SHORTEST_PREFIX {
        return Err(malformed(format!("\"{id}\" is too short; give at least {SHORTEST_PREFIX} characters of an id")));
    }
    let wrong = || malformed(format!("\"{text}\" is no number of an attempt; they count from 1"));
    text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

pub async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path((id, text)): Path<(String, String)>,
    _: Params<NoParams>,
) -> Result<Json<AttemptView>, Problem> {
    let number = number(&id, &text)?;
    Ok(Json(ask(&shared.control, move |control| control.attempt(&caller, &id, number)).await?))
}

pub async fn request_body(
    State(shared): State<Shared>,
    caller: Caller,
    Path((id, text)): Path<(String, String)>,
    _: Params<NoParams>,
) -> Result<Response, Problem> {
    bytes(&shared, caller, id, &text, BodyOf::Request).await
}

pub async fn response_body(
    State(shared): State<Shared>,
    caller: Caller,
    Path((id, text)): Path<(String, String)>,
    _: Params<NoParams>,
) -> Result<Response, Problem> {
    bytes(&shared, caller, id, &text, BodyOf::Response).await
}

/// What a receiver sent is nothing that a browser may look into.
async fn bytes(shared: &Shared, caller: Caller, id: String, text: &str, of: BodyOf) -> Result<Response, Problem> {
    let number = number(&id, text)?;
    let name = match of {
        BodyOf::Request => "attachment; filename=\"request.body\"",
        BodyOf::Response => "attachment; filename=\"response.body\"",
    };
    let body = ask(&shared.control, move |control| control.attempt_body(&caller, &id, number, of)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, name),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, body).into_response())
}
