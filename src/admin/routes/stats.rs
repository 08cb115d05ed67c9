//! `/v1/stats`: series for charts. `/v1/openapi.json`: what all of this is.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use super::super::api::{Stats, StatsMetric};
use super::super::caller::Caller;
use super::super::control::{StatsRequest, SubKey};
use super::super::extract::{NoParams, Params, instant, malformed};
use super::super::openapi::openapi;
use super::super::problem::Problem;
use super::{Shared, ask};
use crate::model::Timestamp;

/// Seconds in a point: a minute to ninety days.
const STEPS_S: std::ops::RangeInclusive<u64> = 60..=90 * 24 * 3600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsParams {
    metric: Option<String>,
    subscription: Option<String>,
    since: Option<String>,
    step: Option<String>,
}

impl StatsParams {
    fn read(self, now: Timestamp) -> Result<StatsRequest, Problem> {
        let metric = self.metric.map(|name| {
            let known = || StatsMetric::ALL.map(StatsMetric::as_str).join(", ");
            StatsMetric::parse(&name)
                .ok_or_else(|| malformed(format!("metric={name} is not known; choose of {}", known())))
        });
        let step_s = self.step.map(|text| match text.parse() {
            Ok(step_s) if STEPS_S.contains(&step_s) => Ok(step_s),
            _ => Err(malformed(format!("step={text} is not a number of seconds from 60 to 7776000"))),
        });
        Ok(StatsRequest {
            metric: metric.transpose()?,
            subscription: self.subscription.as_deref().map(SubKey::parse),
            since: instant("since", self.since, now)?,
            step_s: step_s.transpose()?,
        })
    }
}

pub async fn stats(
    State(shared): State<Shared>,
    caller: Caller,
    params: Params<StatsParams>,
) -> Result<Json<Stats>, Problem> {
    let request = params.0.read(shared.door.now())?;
    Ok(Json(ask(&shared.control, move |control| control.stats(&caller, &request)).await?))
}

pub async fn document(_: Params<NoParams>) -> Json<Value> {
    Json(openapi())
}
