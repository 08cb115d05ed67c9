//! `POST /v1/events`: events come in over HTTP, by way of the spool.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};

use super::super::accept::AcceptRequest;
use super::super::api::Accepted;
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::extract::{NoParams, Params, idempotency_key, malformed};
use super::super::problem::{Problem, ProblemKind};
use super::{Shared, ask};

/// Largest body: many events may come at once.
pub const ACCEPT_BYTES_MAX: usize = 16 << 20;

pub async fn accept(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
    request: Request,
) -> Result<(StatusCode, Extension<Changed>, Json<Accepted>), Problem> {
    let (key, is_lines) = (idempotency_key(request.headers())?, is_lines(request.headers()));
    let body = axum::body::to_bytes(request.into_body(), ACCEPT_BYTES_MAX).await.map_err(|error| {
        // The limit has no type that could be asked for.
        match error.to_string().contains("limit") {
            true => {
                let detail = format!("a body may hold {ACCEPT_BYTES_MAX} bytes; send the events in several requests");
                Problem::new(ProblemKind::TooLarge, detail)
            }
            false => malformed(format!("the body ended early: {error}")),
        }
    })?;
    let request = AcceptRequest { body: body.to_vec(), is_lines, key };
    let accepted = ask(&shared.control, move |control| control.accept(&caller, &request)).await?;
    Ok((StatusCode::ACCEPTED, Extension(Changed::nothing()), Json(accepted)))
}

fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/x-ndjson" | "application/ndjson" | "application/jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_by_their_type() {
        let with = |kind: &str| HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
        assert!(is_lines(&with("application/x-ndjson; charset=utf-8")) && is_lines(&with("Application/NDJSON")));
        assert!(!is_lines(&with("application/json")) && !is_lines(&HeaderMap::new()));
    }
}
