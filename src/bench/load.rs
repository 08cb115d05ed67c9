//! What engines are given: subscriptions, and events that say when they were written.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::time::{now_ns, pause};

/// One `[[subscription]]` of the dialect `standard`, signed.
pub fn subscription(name: &str, url: &str, events: &str) -> String {
    format!(
        r#"
[[subscription]]
name = "{name}"
url = "{url}"
dialect = "standard"
events = ["{events}"]
secret = "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LW5vdC1mb3ItdXNl"
"#
    )
}

/// An event of `event_type` whose request has a body of about `bytes` (at least 150); it says when it was written, if the
/// sink is to tell its age.
pub fn event(event_type: &str, number: u64, bytes: usize, sent_ns: Option<u64>) -> String {
    let stamp = sent_ns.map_or(r#""none":1000000000000000000"#.to_owned(), |ns| format!(r#""sent":{ns}"#));
    let (items, others) = match bytes {
        300.. => (
            r#""status":"shipped","customer":{"name":"Ada Byron","country":"DE"},"items":[{"sku":"A-100","quantity":2,"price":10.5},{"sku":"B-200","quantity":1,"price":99}],"#,
            290,
        ),
        _ => ("", 150),
    };
    let note = "x".repeat(bytes.saturating_sub(others));
    let data = format!(r#"{{"id":"SO-{number:010}",{stamp},{items}"note":"{note}"}}"#);
    format!(r#"{{"type":"{event_type}","id":"evt-{number:010}","time":"2026-03-12T10:00:00Z","data":{data}}}"#)
}

/// Appends events to a spool file at `per_second`. `line` makes the one with this number, written at this time; `None`
/// ends it early. The file is kept open, as a daemon does, or opened and closed each time, as `echo >> file` does.
pub fn trickle(
    inbox: &Path,
    events: u64,
    per_second: u64,
    is_kept_open: bool,
    line: impl Fn(u64, u64) -> Option<String>,
) -> io::Result<()> {
    let open = || File::options().append(true).create(true).open(inbox.join("bench.ndjson"));
    let began_ns = now_ns();
    let mut file = open()?;
    for number in 0..events {
        let due_ns = began_ns + number * 1_000_000_000 / per_second;
        pause(Duration::from_nanos(due_ns.saturating_sub(now_ns())));
        if !is_kept_open {
            file = open()?;
        }
        let Some(line) = line(number, now_ns()) else { return Ok(()) };
        file.write_all(format!("{line}\n").as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json_of_about_the_size_asked_for() {
        for bytes in [200, 500, 2_000] {
            let line = event("order.updated", 7, bytes, Some(12));
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&event["type"], &event["data"]["sent"]), (&"order.updated".into(), &12.into()));
            // The envelope of the dialect comes to it.
            let data = event["data"].to_string().len();
            assert!((bytes - 120..bytes).contains(&data), "{bytes}: {data}");
        }
    }

    #[test]
    fn a_trickle_ends_when_told() {
        let dir = tempfile::tempdir().unwrap();
        trickle(dir.path(), 1_000, 1_000_000, true, |number, _| (number < 3).then(|| number.to_string())).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("bench.ndjson")).unwrap(), "0\n1\n2\n");
    }
}
