//! Reading requests: query parameters and bodies, with our own error answers.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::control::PageRequest;
use super::problem::{Problem, ProblemKind};
use crate::model::{Timestamp, When};

/// Query parameters. `T` must deny unknown fields: a typo in a filter must never widen it.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => {
                let text = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), innermost);
                let kind = match text.contains("unknown field") {
                    true => ProblemKind::UnknownParameter,
                    false => ProblemKind::Malformed,
                };
                Err(Problem::new(kind, text.replace("field", "parameter")))
            }
        }
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// For routes that take no parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// `limit` and `cursor` (or `after`, which says the same in a poll).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    limit: Option<String>,
    cursor: Option<String>,
    after: Option<String>,
}

impl PageParams {
    pub fn read(self) -> Result<PageRequest, Problem> {
        page_request(self.limit, self.cursor.or(self.after))
    }
}

/// A page of 1 to 200, 50 when nothing is said.
pub fn page_request(limit: Option<String>, cursor: Option<String>) -> Result<PageRequest, Problem> {
    let limit = match limit {
        None => PageRequest::default().limit,
        Some(text) => match text.parse() {
            Ok(limit) if (1..=200).contains(&limit) => limit,
            _ => return Err(malformed(format!("limit={text} is not a number from 1 to 200"))),
        },
    };
    // A script's `cursor=$NEXT` is empty the first time.
    Ok(PageRequest { limit, cursor: cursor.filter(|cursor| !cursor.is_empty()) })
}

/// The instant that a parameter names, or a span ago: `2h`.
pub fn instant(parameter: &str, text: Option<String>, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let read = |text: String| When::parse(&text).map_err(|wrong| malformed(format!("{parameter}: {wrong}")));
    Ok(text.map(read).transpose()?.map(|when| when.at(now)))
}

/// The raw body, at most the router's limit.
pub struct Body(pub Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::body::Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes.to_vec())),
            Err(rejection) if rejection.status() == 413 => {
                Err(Problem::new(ProblemKind::TooLarge, format!("a body may hold {BODY_BYTES_MAX} bytes")))
            }
            Err(rejection) => Err(malformed(rejection.body_text())),
        }
    }
}

impl Body {
    /// The body as JSON of a known shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.0).map_err(|error| malformed(format!("the body is not valid: {error}")))
    }
}

/// Largest request body: room for one event line of generous size.
pub const BODY_BYTES_MAX: usize = 4 << 20;

pub fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

/// Longest `Idempotency-Key`.
const KEY_MAX: usize = 255;

/// The request's `Idempotency-Key`, if it has one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_visible() {
        let read = |values: &[&str]| {
            let name = axum::http::HeaderName::from_static("idempotency-key");
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            idempotency_key(&headers)
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["a-1"]), Ok(Some("a-1".to_owned())));
        for bad in [&[""][..], &["a b"], &["a", "a"], &["é"], &[&"x".repeat(256)]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
