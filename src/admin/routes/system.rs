//! Health, status, the books, the version and the reload.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::super::api::{BackupPlan, Books, Readiness, ReloadReport, Status, Version};
use super::super::caller::Caller;
use super::super::control::Control;
use super::super::extract::{NoParams, Params};
use super::super::problem::{Problem, ProblemKind};
use super::{Shared, ask};

/// 200 while this thread turns.
pub async fn livez(_: Params<NoParams>) -> &'static str {
    "ok\n"
}

/// 200 when events are taken and sent, else 503 with the checks that failed.
pub async fn readyz(
    State(control): State<Arc<dyn Control>>,
    _: Params<NoParams>,
) -> Result<(StatusCode, Json<Readiness>), Problem> {
    let readiness = ask(&control, |control| Ok(control.readiness())).await?;
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((code, Json(readiness)))
}

pub async fn status(State(shared): State<Shared>, _: Params<NoParams>) -> Result<Json<Status>, Problem> {
    Ok(Json(ask(&shared.control, |control| control.status()).await?))
}

pub async fn version(_: Params<NoParams>) -> Json<Version> {
    Json(Version::current())
}

/// 200 with differences too: the question was answered.
pub async fn audit(State(shared): State<Shared>, _: Params<NoParams>) -> Result<Json<Books>, Problem> {
    Ok(Json(ask(&shared.control, |control| control.audit()).await?))
}

/// What to copy for a backup: the copying is the caller's, on the same machine.
pub async fn backup(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
) -> Result<Json<BackupPlan>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.backup(&caller)).await?))
}

/// 422 with the diagnostics when the files are not valid and the old configuration stays.
pub async fn reload(State(shared): State<Shared>, _: Params<NoParams>) -> Result<Json<ReloadReport>, Problem> {
    let report = ask(&shared.control, |control| control.reload()).await?;
    if report.applied {
        return Ok(Json(report));
    }
    Err(Problem::new(ProblemKind::Validation, report.message)
        .with("errors", report.problems.into())
        .with("problems_text", report.problems_text.into()))
}
