//! An answer that says no, as an exit code and words.

use serde::Deserialize;

use super::super::error::{CliError, ExitKind};
use super::Reply;

/// The members of `application/problem+json` that people read.
#[derive(Deserialize)]
struct ProblemBody {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
}

/// The error a refused request means.
pub fn error_of(reply: &Reply) -> CliError {
    let Ok(problem) = serde_json::from_slice::<ProblemBody>(&reply.body) else {
        return CliError::new(ExitKind::Io, format!("the engine answered {} without a reason", reply.status));
    };
    let kind = match reply.status {
        400 => ExitKind::Usage,
        401 | 403 => ExitKind::NotPermitted,
        404 | 409 | 410 => ExitKind::No,
        413 | 422 => ExitKind::BadData,
        429 | 503 => ExitKind::Unreachable,
        _ => ExitKind::Io,
    };
    let error = CliError::new(kind, problem.detail);
    match problem.kind.rsplit(':').next() {
        Some("unauthorized") => error
            .help("your token's file: --token-file FILE, or SPOOLHOOK_TOKEN_FILE")
            .help("a new one, on the engine's machine: spoolhook token create NAME --scope admin > FILE"),
        Some("ambiguous") => error.help("give more characters of the id, or TENANT/NAME of a subscription"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_become_exit_codes() {
        let reply = |status, slug: &str| Reply {
            status,
            body: format!("{{\"type\":\"urn:spoolhook:problem:{slug}\",\"detail\":\"because\"}}").into_bytes(),
        };
        let error = error_of(&reply(404, "not-found"));
        assert_eq!((error.kind, error.message.as_str()), (ExitKind::No, "because"));
        let error = error_of(&reply(401, "unauthorized"));
        assert_eq!((error.kind, error.help.len()), (ExitKind::NotPermitted, 2));
        assert_eq!(error_of(&reply(403, "forbidden")).kind, ExitKind::NotPermitted);
        assert_eq!(error_of(&reply(422, "validation")).kind, ExitKind::BadData);
        assert_eq!(error_of(&reply(409, "ambiguous")).help.len(), 1);
        assert_eq!(error_of(&Reply { status: 502, body: b"<html>".to_vec() }).kind, ExitKind::Io);
    }
}
