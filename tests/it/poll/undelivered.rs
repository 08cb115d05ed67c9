//! `subscription=` and `only=undelivered`: exactly what an endpoint did not get, however it ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Api, ids};
use crate::support::{HEAD, Scenario, Sink, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Fails every delivery whose event's number is divisible by ten, as long as it says so.
pub fn sink() -> (Sink, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(500));
    let answer = status.clone();
    let sink = Sink::start(move |_, id, _| {
        let n: u32 = id.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        if n.is_multiple_of(10) { answer.load(Ordering::SeqCst) } else { 200 }
    });
    (sink, status)
}

pub fn config(sink: &Sink, more: &str) -> String {
    format!(
        r#"{HEAD}
[dialect.plain]
body = '{{"event":{{{{id}}}}}}'
headers = {{ X-Delivery-Id = "{{{{id}}}}" }}
[[subscription]]
name = "oms"
url = "http://{}/oms"
dialect = "plain"
events = ["order.*"]
{more}
"#,
        sink.addr()
    )
}

/// What a parser that thinks it knows better would change.
pub const EXACT: &str = "[12.50,9007199254740993,1.00000000000000000001]";

pub fn write(scenario: &Scenario, numbers: std::ops::Range<u32>) {
    let lines: String = numbers
        .map(|n| {
            let kind = if n % 2 == 0 { "order.paid" } else { "stock.moved" };
            format!("{{\"type\":\"{kind}\",\"id\":\"e-{n}\",\"data\":{{\"n\":{n}.0,\"exact\":{EXACT}}}}}\n")
        })
        .collect();
    let name = format!("f{}", lines.len());
    std::fs::write(scenario.path(format!("spool/tmp/{name}")), lines).unwrap();
    std::fs::rename(scenario.path(format!("spool/tmp/{name}")), scenario.path(format!("spool/in/{name}.ndjson")))
        .unwrap();
}

pub fn pending(scenario: &Scenario) -> Value {
    scenario.cli(&["status"]).json["deliveries"]["pending"].clone()
}

#[test]
fn a_sweep_finds_exactly_what_was_missed() {
    let (sink, status) = sink();
    let scenario = Scenario::new(&config(&sink, "retry = \"none\""));
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    write(&scenario, 0..400);
    assert!(wait_until(PATIENCE, || api.all("limit=1000").0.len() == 400 && pending(&scenario) == 0));

    let (seen, _) = api.all("subscription=oms&limit=30");
    assert_eq!(ids(&seen), (0..400).step_by(2).map(|n| format!("e-{n}")).collect::<Vec<_>>());
    for event in &seen {
        let n: f64 = event["data"]["n"].as_f64().unwrap();
        let wanted = if n % 10.0 == 0.0 { "failed" } else { "delivered" };
        assert_eq!(event["delivery"]["status"], wanted, "{event}");
    }
    let wanted: Vec<_> = (0..400).step_by(10).map(|n| format!("e-{n}")).collect();
    let (missed, end) = api.all("subscription=oms&only=undelivered&limit=7");
    assert_eq!(ids(&missed), wanted);
    assert!(missed.iter().all(|event| event["delivery"]["id"].as_str().unwrap().len() == 36));

    // What failed is sent again by hand and is a miss no longer; new misses come behind the cursor.
    status.store(200, Ordering::SeqCst);
    let id = missed[0]["delivery"]["id"].as_str().unwrap().to_owned();
    assert_eq!(scenario.run(&["replay", &id, "--yes"]).status.code(), Some(0));
    assert!(wait_until(PATIENCE, || ids(&api.all("subscription=oms&only=undelivered").0) == wanted[1..]));
    status.store(500, Ordering::SeqCst);
    write(&scenario, 400..450);
    engine.kill();
    let mut engine = scenario.engine();
    engine.ready();
    assert!(wait_until(PATIENCE, || api.all("limit=1000").0.len() == 450 && pending(&scenario) == 0));
    let (next, _) = api.after("subscription=oms&only=undelivered", &end);
    assert_eq!(ids(&next), ["e-400", "e-410", "e-420", "e-430", "e-440"]);
    assert_eq!(api.get("/v1/events?subscription=none").status, 404);
    assert_eq!(ids(&api.all("subscription=oms&only=undelivered&type=stock.*").0), Vec::<String>::new());
}

#[test]
fn what_is_open_when_a_sweep_goes_by_is_found_when_it_fails() {
    let (sink, status) = sink();
    let scenario = Scenario::new(&config(&sink, "retry = [\"1s\", \"1s\"]"));
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let mut cursor = api.get("/v1/events").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    write(&scenario, 0..200);
    let mut found = Vec::new();
    let mut sweeps = 0;
    let all: BTreeSet<String> = (0..200).step_by(10).map(|n| format!("e-{n}")).collect();
    let swept = wait_until(PATIENCE, || {
        let (missed, next) = api.after("subscription=oms&only=undelivered&limit=3", &cursor);
        found.extend(ids(&missed));
        cursor = next;
        sweeps += 1;
        found.len() >= all.len()
    });
    assert!(swept && sweeps > 2, "{found:?}");
    assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), all);
    assert_eq!(found.len(), all.len(), "none twice: {found:?}");
    status.store(200, Ordering::SeqCst);
    let (missed, _) = api.after("subscription=oms&only=undelivered", &cursor);
    assert_eq!(ids(&missed), Vec::<String>::new());
}

#[test]
fn misses_are_kept_when_their_file_is_not() {
    let (sink, _) = sink();
    let config = config(&sink, "retry = \"none\"").replace("[state]", "retention = { age = \"0s\" }\n[state]");
    let scenario = Scenario::new(&config);
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let start = api.get("/v1/events").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    write(&scenario, 0..100);
    let is_gone = || api.get(&format!("/v1/events?after={start}")).status == 410;
    assert!(wait_until(PATIENCE, is_gone), "retention removes it");
    let (missed, _) = api.after("subscription=oms&only=undelivered", &start);
    assert_eq!(ids(&missed), (0..100).step_by(10).map(|n| format!("e-{n}")).collect::<Vec<_>>());
    assert!(missed.iter().all(|event| event["data"]["n"].is_f64() && event["lost"] == json!(null)), "{missed:?}");
    assert!(missed[1].to_string().contains("10.0"));
}
