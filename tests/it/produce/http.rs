//! `POST /v1/events`.

use std::time::Duration;

use serde_json::json;
use spoolhook::receiver::{Options, Receiver};

use crate::poll::api::{Api, ids};
use crate::support::{HEAD, Scenario, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);
const LINES: &[(&str, &str)] = &[("Content-Type", "application/x-ndjson")];

fn engine(config: &str) -> (Scenario, crate::support::Engine, Api) {
    let scenario = Scenario::new(config);
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    (scenario, engine, api)
}

#[test]
fn what_is_accepted_reaches_the_receiver_byte_for_byte() {
    let options = Options { collect: true, ..Options::default() };
    let receiver = Receiver::start(([127, 0, 0, 1], 0).into(), options).unwrap();
    let (_scenario, _engine, api) = engine(&format!(
        "{HEAD}\n[[subscription]]\nname = \"a\"\nurl = \"http://{}/\"\ndialect = \"clarus\"\nevents = [\"**\"]\n\
         [subscription.params]\ndomain = \"d\"\napi_domain = \"a\"\nsubdomain = \"s\"\nautomation_id = \"1\"\nintegration_id = \"2\"\n",
        receiver.addr()
    ));
    let data = r#"{"z":1e400, "a":9007199254740993,"t":"\u00e9\/","d":1.0}"#;
    let one = api.post("/v1/events", &[], format!("{{\"type\":\"a.b\",\"data\":{data}}}").as_bytes()).expect(202);
    assert_eq!((&one["result"], &one["accepted"]), (&json!("success"), &json!(1)));
    let id = one["events"][0]["id"].as_str().unwrap().to_owned();
    assert!(receiver.wait_for(1, PATIENCE));
    assert_eq!(String::from_utf8_lossy(&receiver.received()[0].body), data);
    let found = api.get(&format!("/v1/events/{id}"));
    assert!(found.status == 200 && found.text.contains(data), "{found:?}");
    let many = "\n{\"type\":\"a.c\",\"id\":\"mine\",\"data\":1}\r\n\n{\"type\":\"a.d\",\"data\":2}";
    let many = api.post("/v1/events", LINES, many.as_bytes()).expect(202);
    assert_eq!((&many["accepted"], &many["events"][0]["id"]), (&json!(2), &json!("mine")));
    assert!(receiver.wait_for(3, PATIENCE));
    let pretty = api.post("/v1/events", &[], b"{\n \"type\": \"a.e\",\n \"data\": [1,\n 2]\n}").expect(202);
    assert!(receiver.wait_for(4, PATIENCE), "{pretty}");
    assert_eq!(receiver.received()[3].body, b"[1,  2]");
}

#[test]
fn one_bad_line_refuses_all_and_says_which() {
    let (_scenario, _engine, api) = engine(HEAD);
    let body = "{\"type\":\"a.b\",\"data\":1}\n[]\n{\"type\":\"a b\",\"data\":1}\n";
    let refused = api.post("/v1/events", LINES, body.as_bytes()).expect(422);
    let lines: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|fault| &fault["line"]).collect();
    assert_eq!(lines, [2, 3], "{refused}");
    assert_eq!(refused["errors"][0]["reason"], "not_object");
    let long = format!("{{\"type\":\"a.b\",\"data\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(api.post("/v1/events", &[], long.as_bytes()).status, 413);
    assert_eq!(api.post("/v1/events", LINES, long.as_bytes()).expect(422)["errors"][0]["reason"], "too_long");
    assert_eq!(api.post("/v1/events", &[], b"").status, 422);
    assert_eq!(api.post("/v1/events?x=1", &[], b"{}").status, 400);
    assert_eq!(api.post("/v1/events", &[("Idempotency-Key", "a b")], b"{}").status, 400);
    assert_eq!(api.get("/v1/events").expect(200)["data"], json!([]));
}

#[test]
fn a_key_is_carried_out_once_across_kills() {
    let (scenario, mut engine, api) = engine(HEAD);
    let body = br#"{"type":"a.b","data":{"n":1}}"#;
    let mut first = None;
    for round in 0..6 {
        let key = [("Idempotency-Key", "order-4711")];
        let answer = api.post("/v1/events", &key, body).expect(202);
        let first = first.get_or_insert_with(|| answer.clone());
        assert_eq!(&answer, first, "round {round}");
        assert_eq!(api.post("/v1/events", &key, br#"{"type":"a.b","data":{"n":2}}"#).status, 422);
        engine.kill();
        engine = scenario.engine();
        engine.ready();
    }
    assert!(wait_until(PATIENCE, || !api.all("limit=10").0.is_empty()));
    assert_eq!(api.post("/v1/events", &[("Idempotency-Key", "other")], body).status, 202);
    assert!(wait_until(PATIENCE, || api.all("limit=10").0.len() == 2));
    // Requests that a kill interrupts at any moment are repeated until they are answered.
    let keys = 60;
    let sent = std::thread::scope(|scope| {
        let api = &api;
        let sender = scope.spawn(move || {
            for n in 0..keys {
                let key = format!("k-{n}");
                let body = format!("{{\"type\":\"a.k\",\"id\":\"{key}\",\"data\":{n}}}");
                let asked = || api.call("POST", "/v1/events", &[("Idempotency-Key", &key)], body.as_bytes());
                assert!(wait_until(PATIENCE, || asked().is_some_and(|answer| answer.status == 202)), "{key}");
            }
        });
        while !sender.is_finished() {
            crate::support::pause(Duration::from_millis(150));
            engine.kill();
            engine = scenario.engine();
            engine.ready();
        }
        sender.join()
    });
    sent.unwrap();
    assert!(wait_until(PATIENCE, || api.all("type=a.k&limit=1000").0.len() >= keys));
    let mut found = ids(&api.all("type=a.k&limit=1000").0);
    found.sort();
    let mut wanted: Vec<_> = (0..keys).map(|n| format!("k-{n}")).collect();
    wanted.sort();
    assert_eq!(found, wanted, "each once");
}

#[test]
fn it_can_be_turned_off_and_waits_when_the_disk_is_short() {
    let (_off, _engine, api) = engine(&HEAD.replace("listen = \"off\"", "listen = \"off\"\naccept_events = false"));
    let body = br#"{"type":"a.b","data":1}"#;
    assert!(api.post("/v1/events", &[], body).expect(403)["detail"].as_str().unwrap().contains("accept_events"));
    let (_short, _engine, api) = engine(&HEAD.replace("dir = \"state\"", "dir = \"state\"\nreserve = \"900TiB\""));
    let answer = api.post("/v1/events", &[], body);
    assert!(answer.status == 429 && answer.head.contains("retry-after: "), "{answer:?}");
}
