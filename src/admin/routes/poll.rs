//! `GET /v1/events`: the poll that catches what a webhook missed. Waiting for news costs a seat and no thread.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::super::api::EventPage;
use super::super::caller::Caller;
use super::super::control::SubKey;
use super::super::extract::{Params, malformed};
use super::super::poll::{POLL_LIMIT_MAX, PollRequest};
use super::super::problem::{Problem, ProblemKind};
use super::super::server::wait_for_stop;
use super::{Shared, ask, with_next};
use crate::model::parse_span;

/// Most requests that wait for news at a time; one more is 503. Half of the `connections` that there may be over TCP: others
/// ask, too; one may always wait.
pub fn waiting_max(connections: usize) -> usize {
    (connections / 2).clamp(1, WAITING_MAX)
}

const WAITING_MAX: usize = 128;

/// Longest wait for news.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two looks of one request, however much happens.
const PAUSE: Duration = Duration::from_millis(25);
/// The same where every attempt may be news.
const PAUSE_OF_DELIVERIES: Duration = Duration::from_millis(250);

const LIMIT: u16 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollParams {
    after: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
    subscription: Option<String>,
    only: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    tenant: Option<String>,
}

impl PollParams {
    fn read(self) -> Result<(PollRequest, Duration), Problem> {
        let only_undelivered = match self.only.as_deref() {
            None => false,
            Some("undelivered") if self.subscription.is_some() => true,
            Some("undelivered") => {
                return Err(malformed("only=undelivered needs a subscription: add subscription=NAME"));
            }
            Some(other) => return Err(malformed(format!("only={other} is not known; there is only=undelivered"))),
        };
        let limit = match self.limit.as_deref() {
            None => LIMIT,
            Some(text) => match text.parse() {
                Ok(limit) if (1..=POLL_LIMIT_MAX).contains(&limit) => limit,
                _ => return Err(malformed(format!("limit={text} is not a number from 1 to {POLL_LIMIT_MAX}"))),
            },
        };
        if self.after.is_some() && self.cursor.is_some() {
            return Err(malformed("`after` and `cursor` say the same: give one of them"));
        }
        let request = PollRequest {
            after: self.after.or(self.cursor),
            limit,
            subscription: self.subscription.as_deref().map(SubKey::parse),
            only_undelivered,
            event_type: self.event_type,
            tenant: self.tenant,
        };
        Ok((request, self.wait.as_deref().map_or(Ok(Duration::ZERO), wait)?))
    }
}

/// `20s` or `500ms`.
fn wait(text: &str) -> Result<Duration, Problem> {
    parse_span(text)
        .ok()
        .filter(|wait| *wait <= WAIT_MAX && text.ends_with('s'))
        .ok_or_else(|| malformed(format!("wait={text} is not a time of at most 30s, such as 20s or 500ms")))
}

pub async fn poll(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<PollParams>,
) -> Result<Response, Problem> {
    let (request, patience) = params.0.read()?;
    let page = if patience.is_zero() {
        once(&shared, &caller, &request).await?
    } else {
        wait_for_news(&shared, caller, request, patience).await?
    };
    let next = page.has_more.then(|| page.next_cursor.clone());
    Ok(with_next(&uri, next.as_deref(), Json(page).into_response()))
}

async fn once(shared: &Shared, caller: &Caller, request: &PollRequest) -> Result<EventPage, Problem> {
    let (caller, request) = (caller.clone(), request.clone());
    ask(&shared.control, move |control| control.poll(&caller, &request)).await
}

/// Asks again whenever there is news, until a page holds something, the time is over or the engine stops.
async fn wait_for_news(
    shared: &Shared,
    caller: Caller,
    mut request: PollRequest,
    patience: Duration,
) -> Result<EventPage, Problem> {
    let Ok(_seat) = shared.poll_seats.try_acquire() else {
        return Err(Problem::new(
            ProblemKind::Unavailable,
            format!("{} requests are waiting for events already", shared.polls_max),
        ));
    };
    let deadline = Instant::now() + patience;
    let pause = if request.only_undelivered { PAUSE_OF_DELIVERIES } else { PAUSE };
    // Listening begins before the first look: what comes in between is news.
    let mut news = shared.live.news(request.only_undelivered);
    let mut stopped = shared.stopped.clone();
    loop {
        news.mark_unchanged();
        let asked = Instant::now();
        let page = once(shared, &caller, &request).await?;
        if !page.data.is_empty() || Instant::now() >= deadline || *stopped.borrow() {
            return Ok(page);
        }
        request.after = Some(page.next_cursor.clone());
        if page.has_more {
            continue;
        }
        let is_news = tokio::select! {
            changed = timeout_at(deadline, news.changed()) => matches!(changed, Ok(Ok(()))),
            () = wait_for_stop(&mut stopped) => false,
        };
        if !is_news {
            return Ok(page);
        }
        sleep_until((asked + pause).min(deadline)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded() {
        assert_eq!(wait("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(wait("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "s", "20", "+1s", "31s", "1m", "0m", "30001ms", "99999999999999999999s"] {
            assert_eq!(wait(text).unwrap_err().kind, ProblemKind::Malformed, "{text}");
        }
    }
}
