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
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

/// What is wrong with one member of a request.
#[derive(Deserialize)]
struct Fault {
    pointer: String,
    detail: String,
    help: Option<String>,
}

/// The message of a problem, with one line for each member that is wrong.
fn message(problem: &ProblemBody) -> String {
    let faults = problem.errors.iter().filter_map(|fault| Fault::deserialize(fault).ok());
    let lines = faults.map(|Fault { pointer, detail, help }| {
        let place = pointer.trim_start_matches(['#', '/']);
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{place}{detail}{help}")
    });
    let lines: Vec<String> = lines.collect();
    match lines.as_slice() {
        [] => problem.detail.clone(),
        [one] => one.clone(),
        several => format!("{}\n  {}", problem.detail, several.join("\n  ")),
    }
}

/// The error a refused request means.
pub fn error_of(reply: &Reply) -> CliError {
    let Ok(problem) = serde_json::from_slice::<ProblemBody>(&reply.body) else {
        return CliError::new(ExitKind::Io, format!("the engine answered {} without a reason", reply.status));
    };
    let kind = match reply.status {
        400 => ExitKind::Usage,
        401 | 403 => ExitKind::NotPermitted,
        404 | 409 | 410 | 412 => ExitKind::No,
        413 | 422 => ExitKind::BadData,
        429 | 503 => ExitKind::Unreachable,
        _ => ExitKind::Io,
    };
    let error = CliError::new(kind, message(&problem));
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
        let faults = br##"{"type":"urn:x:validation","detail":"2 fields need attention.","errors":[
            {"pointer":"#/url","code":"E014","detail":"url must use https"},
            {"pointer":"#","code":"E004","detail":"it is missing","help":"add it"}]}"##;
        let error = error_of(&Reply { status: 422, body: faults.to_vec() });
        assert_eq!(error.message, "2 fields need attention.\n  url: url must use https\n  it is missing (add it)");
        assert_eq!(error_of(&Reply { status: 502, body: b"<html>".to_vec() }).kind, ExitKind::Io);
    }
}
