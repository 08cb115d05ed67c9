//! `/v1/replays`: sending many deliveries again, and `/v1/deliveries/{id}/cancel`.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::super::api::{CancelAnswer, ReplayAnswer, ReplayJob, ReplayOrder};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::control::{ControlError, ReplayOutcome, SHORTEST_PREFIX};
use super::super::extract::{Body, NoParams, PageParams, Params, malformed};
use super::super::problem::Problem;
use super::{Shared, ask, page};

/// 202 with the job; of ids, each row says for itself whether it was accepted. 200 with what it would be in a dry run.
pub async fn start(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
    body: Body,
) -> Result<Response, Problem> {
    let order: ReplayOrder = body.json()?;
    if order.ids.is_empty() && !order.has_filter() {
        return Err(malformed("it names nothing to replay; give ids, or a filter such as subscription or status"));
    }
    if let Some(short) = order.ids.iter().find(|id| id.len() < SHORTEST_PREFIX) {
        let message = format!("\"{short}\" is too short; give at least {SHORTEST_PREFIX} characters of an id");
        return Err(ControlError::Invalid(message).into());
    }
    Ok(match ask(&shared.control, move |control| control.start_replay(&caller, &order)).await? {
        ReplayOutcome::Preview(preview) => (Extension(Changed::nothing()), Json(preview)).into_response(),
        ReplayOutcome::Job(answer) => (StatusCode::ACCEPTED, Extension(changed(&answer)), Json(answer)).into_response(),
    })
}

/// What the log of changes says of a job: what it was asked for.
fn changed(answer: &ReplayAnswer) -> Changed {
    let Some(job) = &answer.job else { return Changed::nothing() };
    let accepted = answer.data.iter().filter(|row| row.accepted);
    let ids: Vec<&str> = accepted.filter_map(|row| row.delivery_id.as_deref()).collect();
    let mut asked = json!({"status": job.status, "filter": job.filter, "rate": job.rate, "matched": job.matched});
    if !ids.is_empty() {
        asked["deliveries"] = json!(ids);
    }
    Changed::of(format!("replay {}", job.id)).after(asked)
}

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<PageParams>,
) -> Result<Response, Problem> {
    let request = params.0.read()?;
    Ok(page(&uri, ask(&shared.control, move |control| control.replay_jobs(&caller, &request)).await?))
}

pub async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<ReplayJob>, Problem> {
    Ok(Json(ask(&shared.control, move |control| control.replay_job(&caller, &id)).await?))
}

pub async fn cancel(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<ReplayJob>), Problem> {
    let job = ask(&shared.control, move |control| control.cancel_replay(&caller, &id)).await?;
    let counts = json!({"status": job.status, "sent": job.sent, "cancelled": job.cancelled});
    let changed = Changed::of(format!("replay {}", job.id)).before(json!({"status": "running"})).after(counts);
    Ok((Extension(changed), Json(job)))
}

pub async fn cancel_delivery(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<CancelAnswer>), Problem> {
    if id.len() < SHORTEST_PREFIX {
        return Err(malformed(format!("\"{id}\" is too short; give at least {SHORTEST_PREFIX} characters of an id")));
    }
    let (answer, tenant) = ask(&shared.control, move |control| {
        let answer = control.cancel_delivery(&caller, &id)?;
        let tenant = control.delivery(&caller, &answer.id).ok().map(|found| found.delivery.tenant);
        Ok((answer, tenant))
    })
    .await?;
    let changed = Changed::of(format!("delivery {}", answer.id)).after(json!({"status": "cancelled"}));
    let changed = match tenant {
        Some(tenant) => changed.tenant(tenant),
        None => changed,
    };
    Ok((Extension(changed), Json(answer)))
}
