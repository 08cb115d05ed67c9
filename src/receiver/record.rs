//! One request as it came in, and how it is written down.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::Timestamp;

/// What the caller's verification says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub ok: bool,
    /// One sentence for a person.
    pub text: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// From 1 in order of arrival; with `save`, one more than the highest number in the directory.
    pub number: u64,
    pub method: String,
    pub path: String,
    /// Without the `?`.
    pub query: Option<String>,
    /// Names in lower case; repeated names stand together, otherwise in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When the body was complete.
    pub received: Timestamp,
    /// Absent while verifying and without verification.
    pub verdict: Option<Verdict>,
    /// The status of the answer; none when it hangs or resets.
    pub status: Option<u16>,
}

/// The file of one request, `NNNNNN-<ms>.json`:
///
/// ```json
/// {"method": "POST", "path": "/hooks?x=1", "headers": [["host", "127.0.0.1:9000"]], "body": "{}",
///  "body_base64": "e30=", "received_at": "2026-03-12T10:00:00.000Z", "verdict": "signature ok", "status": 200}
/// ```
/// `path` carries the query; `body` is null when the bytes are not UTF-8; `verdict` is null without verification.
#[derive(Serialize)]
struct File<'a> {
    method: &'a str,
    path: String,
    headers: &'a [(String, String)],
    body: Option<&'a str>,
    body_base64: String,
    received_at: String,
    verdict: Option<&'a str>,
    status: Option<u16>,
}

impl Received {
    /// The value of the first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    /// The content of its file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let file = File {
            method: &self.method,
            path: self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path)),
            headers: &self.headers,
            body: std::str::from_utf8(&self.body).ok(),
            body_base64: STANDARD.encode(&self.body),
            received_at: self.received.to_string(),
            verdict: self.verdict.as_ref().map(|verdict| verdict.text.as_str()),
            status: self.status,
        };
        let mut text = serde_json::to_vec_pretty(&file).expect("strings and numbers always serialise");
        text.push(b'\n');
        text
    }
}
