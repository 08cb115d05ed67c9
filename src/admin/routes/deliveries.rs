//! `/v1/deliveries`: the delivery log, and sending one again.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;

use super::super::api::{DeliveryDetail, ReplayRequest, Replays};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::control::{ControlError, DeliveryFilter, SHORTEST_PREFIX, SubKey};
use super::super::extract::{Body, NoParams, Params, instant, malformed, page_request};
use super::super::problem::{Problem, ProblemKind};
use super::{Shared, ask, with_next};
use crate::model::{AttemptTrigger, DeliveryStatus, Outcome, Timestamp};

/// The filters of the list; `status` and `outcome` take several names, separated by commas.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {
    status: Option<String>,
    outcome: Option<String>,
    subscription: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    tenant: Option<String>,
    event_id: Option<String>,
    status_code: Option<String>,
    trigger: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    after: Option<String>,
}

impl ListParams {
    fn read(self, now: Timestamp) -> Result<DeliveryFilter, Problem> {
        Ok(DeliveryFilter {
            status: names("status", self.status, DeliveryStatus::parse, || {
                DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ")
            })?,
            outcome: names("outcome", self.outcome, Outcome::parse, || Outcome::ALL.map(Outcome::as_str).join(", "))?,
            subscription: self.subscription.as_deref().map(SubKey::parse),
            event_type: self.event_type,
            tenant: self.tenant,
            event_id: self.event_id,
            status_code: self.status_code.as_deref().map(status_code).transpose()?,
            trigger: self.trigger.as_deref().map(trigger).transpose()?,
            since: instant("since", self.since, now)?,
            until: instant("until", self.until, now)?,
            page: page_request(self.limit, self.cursor.or(self.after))?,
        })
    }
}

/// `503`, or `5xx` for the class.
fn status_code(text: &str) -> Result<(u16, u16), Problem> {
    let class =
        text.strip_suffix("xx").and_then(|digit| digit.parse::<u16>().ok()).filter(|digit| (1..=9).contains(digit));
    let range = match (class, text.parse::<u16>()) {
        (Some(class), _) => Some((class * 100, class * 100 + 99)),
        (None, Ok(code)) if (100..=999).contains(&code) => Some((code, code)),
        _ => None,
    };
    range.ok_or_else(|| malformed(format!("status_code={text} is neither a code such as 503 nor a class such as 5xx")))
}

fn trigger(text: &str) -> Result<AttemptTrigger, Problem> {
    let known = [AttemptTrigger::First, AttemptTrigger::Retry, AttemptTrigger::Manual];
    let found = known.into_iter().find(|trigger| trigger.as_str() == text);
    found.ok_or_else(|| malformed(format!("trigger={text} is not known; choose of first, retry, manual")))
}

fn names<T>(
    parameter: &str,
    text: Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    known: impl Fn() -> String,
) -> Result<Vec<T>, Problem> {
    text.iter()
        .flat_map(|text| text.split(','))
        .map(|name| {
            parse(name).ok_or_else(|| malformed(format!("{parameter}={name} is not known; choose of {}", known())))
        })
        .collect()
}

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<ListParams>,
) -> Result<Response, Problem> {
    let filter = params.0.read(shared.door.now())?;
    let found = ask(&shared.control, move |control| control.deliveries(&caller, &filter)).await?;
    let next = found.next_cursor.clone().filter(|_| found.has_more);
    Ok(with_next(&uri, next.as_deref(), Json(found).into_response()))
}

pub async fn show(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
) -> Result<Json<DeliveryDetail>, Problem> {
    if id.len() < SHORTEST_PREFIX {
        return Err(malformed(format!("\"{id}\" is too short; give at least {SHORTEST_PREFIX} characters of an id")));
    }
    Ok(Json(ask(&shared.control, move |control| control.delivery(&caller, &id)).await?))
}

/// What one delivery's replay takes; an empty body says nothing special.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    #[serde(default)]
    consent: bool,
}

pub async fn replay_one(
    State(shared): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    _: Params<NoParams>,
    body: Body,
) -> Result<(StatusCode, Extension<Changed>, Json<Replays>), Problem> {
    let consent = if body.0.is_empty() { Consent::default() } else { body.json()? };
    let answer = replay(&shared, caller, ReplayRequest { ids: vec![id], consent: consent.consent }).await?;
    match answer.data.first() {
        Some(row) if !row.accepted => {
            let kind = match row.reason.as_deref() {
                Some("not_found") => ProblemKind::NotFound,
                Some("ambiguous") => ProblemKind::Ambiguous,
                _ => ProblemKind::Conflict,
            };
            Err(Problem::new(kind, row.message.clone()).with("reason", row.reason.clone().into()))
        }
        _ => Ok((StatusCode::ACCEPTED, Extension(changed(&answer)), Json(answer))),
    }
}

/// What the log of changes says of a replay: the deliveries that are sent again.
fn changed(answer: &Replays) -> Changed {
    let accepted = answer.data.iter().filter(|row| row.accepted);
    let sent: Vec<&str> = accepted.filter_map(|row| row.delivery_id.as_deref()).collect();
    match sent.as_slice() {
        [] => Changed::nothing(),
        [one] => Changed::of(format!("delivery {one}")).after(json!({"status": "pending"})),
        several => Changed::of(format!("{} deliveries", several.len()))
            .after(json!({"status": "pending", "deliveries": several})),
    }
}

async fn replay(shared: &Shared, caller: Caller, request: ReplayRequest) -> Result<Replays, Problem> {
    let rows = ask(&shared.control, move |control| {
        if let Some(short) = request.ids.iter().find(|id| id.len() < SHORTEST_PREFIX) {
            return Err(ControlError::Invalid(format!(
                "\"{short}\" is too short; give at least {SHORTEST_PREFIX} characters of an id"
            )));
        }
        control.replay(&caller, &request)
    })
    .await?;
    let accepted = rows.iter().filter(|row| row.accepted).count();
    let result = if accepted == rows.len() { "success" } else { "error" };
    Ok(Replays { result: result.to_owned(), message: format!("{accepted} of {} accepted.", rows.len()), data: rows })
}
