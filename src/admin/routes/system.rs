//! Health, status, the books, the version and the reload.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::super::api::{BackupPlan, Books, Readiness, ReloadReport, Status, Version};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::control::Control;
use super::super::extract::{NoParams, Params};
use super::super::problem::{Problem, ProblemKind};
use super::{Shared, ask};

/// 200 while this thread turns.
pub async fn livez(_: Params<NoParams>) -> &'static str {
    "ok\n"
}

/// `?verbose`, with or without a value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadyParams {
    verbose: Option<String>,
}

/// 200 when events are taken and sent, else 503 with the names of the checks that failed. Why they did, and with `?verbose`
/// those that hold, is for those with a token; a tenant's token is told no reasons, since they may name the others.
pub async fn readyz(
    State(control): State<Arc<dyn Control>>,
    params: Params<ReadyParams>,
    caller: Result<Caller, Problem>,
) -> Result<(StatusCode, Json<Readiness>), Problem> {
    let is_verbose = params.0.verbose.is_some_and(|value| value != "false");
    let caller = if is_verbose { Some(caller?) } else { caller.ok() };
    let mut readiness = ask(&control, |control| Ok(control.readiness())).await?;
    readiness.checks.retain(|check| is_verbose || !check.ok);
    if caller.is_none_or(|caller| caller.tenant.is_some()) {
        readiness.checks.iter_mut().for_each(|check| check.reason = None);
    }
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((code, Json(readiness)))
}

pub async fn status(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
) -> Result<Json<Status>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.status(&caller)).await?))
}

pub async fn version(_: Params<NoParams>) -> Json<Version> {
    Json(Version::current())
}

/// 200 with differences too: the question was answered.
pub async fn audit(State(shared): State<Shared>, caller: Caller, _: Params<NoParams>) -> Result<Json<Books>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.audit(&caller)).await?))
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
pub async fn reload(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<ReloadReport>), Problem> {
    let report = ask(&shared.control, move |control| control.reload(&caller)).await?;
    if report.applied {
        let changed = Changed::of("configuration").after(json!({"message": report.message}));
        return Ok((Extension(changed), Json(report)));
    }
    Err(Problem::new(ProblemKind::Validation, report.message)
        .with("errors", report.problems.into())
        .with("problems_text", report.problems_text.into()))
}
