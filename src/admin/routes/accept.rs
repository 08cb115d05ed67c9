//! `POST /v1/events`: events come in over HTTP, by way of the spool.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};

use super::super::accept::AcceptRequest;
use super::super::api::Accepted;
use super::super::caller::Caller;
use super::super::extract::{NoParams, Params, malformed};
use super::super::problem::{Problem, ProblemKind};
use super::{Shared, ask};

/// Largest body: many events may come at once.
pub const ACCEPT_BYTES_MAX: usize = 16 << 20;

/// Longest `Idempotency-Key`.
const KEY_MAX: usize = 255;

pub async fn accept(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
    request: Request,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let (key, is_lines) = (key(request.headers())?, is_lines(request.headers()));
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
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return match headers.contains_key("idempotency-key") {
            true => Err(malformed("Idempotency-Key is given more than once")),
            false => Ok(None),
        };
    };
    let is_fit = |key: &&str| (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().filter(is_fit);
    let text = || malformed(format!("Idempotency-Key is 1 to {KEY_MAX} visible ASCII characters, without spaces"));
    key.map(|key| Some(key.to_owned())).ok_or_else(text)
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

    #[test]
    fn keys_are_short_and_visible() {
        let read = |values: &[&str]| {
            let name = header::HeaderName::from_static("idempotency-key");
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            key(&headers)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["a-1"]), Ok(Some("a-1".to_owned())));
        for bad in [&[""][..], &["a b"], &["a", "a"], &["é"], &[&"x".repeat(256)]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
