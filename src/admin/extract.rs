//! Reading requests: query parameters and bodies, with our own error answers.

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
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
    Ok(PageRequest { limit, cursor })
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
