//! Errors on the wire: RFC 9457 `application/problem+json`, with Umbra's `result` and `message` beside the standard
//! members.
//!
//! ```json
//! {"type":"urn:spoolhook:problem:not-found","title":"There is no such thing","status":404,
//!  "detail":"there is no subscription \"omz\"","result":"error","message":"there is no subscription \"omz\""}
//! ```

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::control::ControlError;

/// The types of problem. `type` is a URN, so nothing has to be reachable to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    Malformed,
    UnknownParameter,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Ambiguous,
    Conflict,
    CursorExpired,
    TooLarge,
    Backpressure,
    NoSpace,
    Validation,
    RateLimited,
    LimitReached,
    FileManaged,
    PreconditionFailed,
    Internal,
    Unavailable,
}

impl ProblemKind {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::UnknownParameter => (StatusCode::BAD_REQUEST, "unknown-parameter", "A parameter is not known"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Who are you?"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not permitted"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method"),
            Self::Ambiguous => (StatusCode::CONFLICT, "ambiguous", "The name fits more than one"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Not in this state"),
            Self::CursorExpired => (StatusCode::GONE, "cursor-expired", "The cursor is too old"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::Backpressure => (StatusCode::TOO_MANY_REQUESTS, "backpressure", "Producers are asked to wait"),
            Self::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "no-space", "The disk has no room"),
            Self::Validation => (StatusCode::UNPROCESSABLE_ENTITY, "validation", "The request is not valid"),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Not so fast"),
            Self::LimitReached => (StatusCode::CONFLICT, "limit-reached", "There may be no more of them"),
            Self::FileManaged => (StatusCode::CONFLICT, "file-managed", "This webhook is defined in a file"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "precondition-failed", "It has changed"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The engine does not answer now"),
        }
    }
}

/// One error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What, where and what to do.
    pub detail: String,
    /// Members beside the standard ones.
    pub extra: Map<String, Value>,
}

impl Problem {
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), extra: Map::new() }
    }

    /// Adds a member of our own.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// The body.
    pub fn to_json(&self) -> Value {
        let (status, slug, title) = self.kind.parts();
        let mut body = json!({
            "type": format!("urn:spoolhook:problem:{slug}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
            "result": "error",
            "message": self.detail,
        });
        if let Value::Object(members) = &mut body {
            members.extend(self.extra.clone());
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, ..) = self.kind.parts();
        let mut response = (status, self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        let wait = self.extra.get("retry_after_s").and_then(Value::as_u64);
        let usual = match self.kind {
            ProblemKind::Unavailable | ProblemKind::Backpressure => Some(5),
            ProblemKind::NoSpace => Some(30),
            _ => None,
        };
        if let Some(seconds) = wait.or(usual) {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
        }
        // Whoever numbers the request writes the number in.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let kind = match &error {
            ControlError::NotFound(_) => ProblemKind::NotFound,
            ControlError::Ambiguous(_) => ProblemKind::Ambiguous,
            ControlError::Conflict(_) => ProblemKind::Conflict,
            ControlError::Forbidden(_) => ProblemKind::Forbidden,
            ControlError::Invalid(_) | ControlError::Fields(_) => ProblemKind::Validation,
            ControlError::LimitReached(_) => ProblemKind::LimitReached,
            ControlError::FileManaged { .. } => ProblemKind::FileManaged,
            ControlError::Precondition(_) => ProblemKind::PreconditionFailed,
            ControlError::Malformed(_) => ProblemKind::Malformed,
            ControlError::CursorExpired(_) => ProblemKind::CursorExpired,
            ControlError::Unavailable(_) => ProblemKind::Unavailable,
            ControlError::Internal(_) => ProblemKind::Internal,
            ControlError::Told(problem) => problem.kind,
        };
        let problem = Self::new(kind, error.to_string());
        match error {
            ControlError::Fields(faults) => {
                let first = faults.first().map(|fault| fault.detail.clone());
                problem.with("message", first.into()).with("errors", json!(faults))
            }
            ControlError::FileManaged { file, line, .. } => problem
                .with("message", "This webhook is defined in a file".into())
                .with("file", file.into())
                .with("line", line.into()),
            ControlError::CursorExpired(lost) => {
                let before = lost.lost_before.map_or(Value::Null, |at| at.to_string().into());
                let problem = problem.with("oldest_cursor", lost.oldest_cursor.into()).with("lost_before", before);
                let range = |(first, last)| json!({"first_seq": first, "last_seq": last, "count": last - first + 1});
                match lost.range {
                    Some(lost) => problem.with("lost", range(lost)),
                    None => problem,
                }
            }
            ControlError::Told(told) => *told,
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::LostEvents;
    use crate::model::Timestamp;

    #[test]
    fn a_problem_speaks_rfc_9457_and_umbra() {
        let problem = Problem::from(ControlError::CursorExpired(Box::new(LostEvents {
            oldest_cursor: "c9".into(),
            lost_before: Some(Timestamp(0)),
            range: Some((3, 7)),
        })));
        let body = problem.to_json();
        assert_eq!(body["type"], "urn:spoolhook:problem:cursor-expired");
        assert_eq!(body["status"], 410);
        assert_eq!(body["result"], "error");
        assert_eq!(body["message"], body["detail"]);
        assert_eq!(body["oldest_cursor"], "c9");
        assert_eq!(body["lost_before"], "1970-01-01T00:00:00.000Z");
        assert_eq!(body["lost"]["count"], 5);
        let response = problem.into_response();
        assert_eq!(response.status(), 410);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}
