//! Cursors, filters, waiting, and what a cursor that outlived retention is told.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use super::api::{Api, ids};
use crate::support::{HEAD, Scenario, pause, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// Puts a finished file with these lines into the spool.
fn put(scenario: &Scenario, name: &str, lines: &str) {
    let draft = scenario.path(format!("spool/tmp/{name}"));
    std::fs::write(&draft, lines).unwrap();
    std::fs::rename(draft, scenario.path(format!("spool/in/{name}.ndjson"))).unwrap();
}

fn lines(kind: &str, tenant: &str, numbers: std::ops::Range<u32>) -> String {
    numbers.fold(String::new(), |mut text, n| {
        writeln!(text, r#"{{"type":"{kind}","id":"{tenant}-{n}","tenant":"{tenant}","data":{{"n":{n}}}}}"#).unwrap();
        text
    })
}

#[test]
fn pages_join_without_a_gap_and_cursors_survive_a_kill() {
    let scenario = Scenario::new(HEAD);
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let empty = api.get("/v1/events").expect(200);
    assert_eq!((&empty["data"], &empty["has_more"]), (&json!([]), &json!(false)));
    let start = empty["next_cursor"].as_str().unwrap().to_owned();
    put(&scenario, "a", &(lines("a.b", "x", 0..300) + &lines("a.c", "y", 0..300)));
    assert!(wait_until(PATIENCE, || api.all("limit=1000").0.len() == 600));
    let (whole, end) = api.all("limit=7");
    let wanted: Vec<_> = (0..300).map(|n| format!("x-{n}")).chain((0..300).map(|n| format!("y-{n}"))).collect();
    assert_eq!(ids(&whole), wanted);
    assert_eq!(ids(&api.after("limit=1000", &start).0), wanted, "an empty page's cursor misses nothing");
    assert_eq!(ids(&api.all("tenant=y&limit=1").0), wanted[300..]);
    assert_eq!(ids(&api.all("type=a.c&limit=100").0), wanted[300..]);
    assert_eq!(api.get("/v1/events?after=latest").expect(200)["next_cursor"], end.as_str());
    assert!(api.get("/v1/events?limit=9").head.contains("rel=\"next\""));
    engine.kill();
    let mut engine = scenario.engine();
    engine.ready();
    assert_eq!(api.get(&format!("/v1/events?after={end}")).expect(200)["data"], json!([]));
    put(&scenario, "b", &lines("a.b", "z", 0..1));
    let page = api.get(&format!("/v1/events?after={end}&wait=20s")).expect(200);
    assert_eq!(ids(page["data"].as_array().unwrap()), ["z-0"]);
    for cursor in ["7", "AAAA", &end[1..]] {
        let refused = api.get(&format!("/v1/events?after={cursor}")).expect(400);
        assert!(refused["detail"].as_str().unwrap().contains("after=latest"), "{refused}");
    }
    let other = Scenario::new(HEAD);
    let mut stranger = other.engine();
    stranger.ready();
    let refused = Api::of(&other).get(&format!("/v1/events?after={end}")).expect(400);
    assert!(refused["detail"].as_str().unwrap().contains("another log"), "{refused}");
}

#[test]
fn many_may_wait_and_others_are_answered() {
    let scenario = Scenario::new(HEAD);
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let from = api.get("/v1/events").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let wait =
            || api.get(&format!("/v1/events?after={from}&wait=30s")).expect(200)["data"].as_array().unwrap().len();
        let waiting: Vec<_> = (0..100).map(|_| scope.spawn(wait)).collect();
        pause(Duration::from_millis(300));
        assert_eq!(api.get("/v1/status").status, 200);
        assert!(waiting.iter().all(|poll| !poll.is_finished()), "they wait");
        put(&scenario, "a", &lines("a.b", "x", 0..1));
        assert!(waiting.into_iter().all(|poll| poll.join().unwrap() == 1));
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let begun = Instant::now();
    let page = api.get("/v1/events?after=latest&wait=300ms").expect(200);
    assert!(page["data"] == json!([]) && begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_cursor_that_outlived_retention_is_told_what_is_lost() {
    let scenario = Scenario::new(&format!("{HEAD}\n").replace("[state]", "retention = { age = \"0s\" }\n[state]"));
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let start = api.get("/v1/events").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    put(&scenario, "a", &lines("a.b", "x", 0..40));
    let lost = || api.get(&format!("/v1/events?after={start}")).status == 410;
    assert!(wait_until(PATIENCE, lost));
    let gone = api.get(&format!("/v1/events?after={start}&wait=1s")).expect(410);
    assert_eq!(gone["type"], "urn:spoolhook:problem:cursor-expired");
    assert_eq!(gone["lost"], json!({"first_seq": 1, "last_seq": 40, "count": 40}), "{gone}");
    let oldest = gone["oldest_cursor"].as_str().unwrap();
    let page = api.get(&format!("/v1/events?after={oldest}")).expect(200);
    assert_eq!(page["data"], json!([]));
    assert_eq!(api.get("/v1/events").expect(200)["data"], json!([]), "without a cursor it begins with what is kept");
}

#[test]
fn large_events_make_short_pages() {
    let scenario = Scenario::new(HEAD);
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let note = "x".repeat(900 << 10);
    let text: String = (0..12).map(|n| format!(r#"{{"type":"a.b","id":"{n}","data":"{note}"}}"#) + "\n").collect();
    put(&scenario, "a", &text);
    assert!(wait_until(PATIENCE, || api.all("limit=100").0.len() == 12));
    let page = api.get("/v1/events?limit=100");
    assert!(page.text.len() < 5 << 20 && page.json()["has_more"] == true, "{}", page.text.len());
}
