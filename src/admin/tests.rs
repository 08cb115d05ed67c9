//! The routes over a real socket, in front of a fake engine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::fake::{DELIVERY, FakeEngine, attempt_line};
use super::{Admin, Door, DoorSettings, Limits, Listen, LiveHub, start};
use crate::env::{OsFiles, SystemClock};
use crate::model::DeliveryStatus;

struct Bench {
    admin: Admin,
    engine: Arc<FakeEngine>,
    live: LiveHub,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A door without a token.
fn door(dir: &Path) -> Arc<Door> {
    let door = Door::open(Arc::new(OsFiles), dir, Arc::new(SystemClock::new()), DoorSettings::default());
    Arc::new(door.unwrap())
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s.sock");
    let engine = Arc::new(FakeEngine::default());
    let live = LiveHub::new(4);
    let listen =
        Listen { socket: Some(socket.clone()), tcp: Some("127.0.0.1:0".parse().unwrap()), limits: Limits::default() };
    let admin = start(&listen, engine.clone(), live.clone(), door(dir.path())).unwrap();
    Bench { admin, engine, live, socket, _dir: dir }
}

/// One HTTP/1.0 exchange: the answer ends where the stream ends.
fn exchange(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> Reply {
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Reply { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body: body.to_owned() }
}

impl Bench {
    fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        exchange(UnixStream::connect(&self.socket).unwrap(), method, path, body)
    }

    fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "")
    }
}

#[test]
fn webhooks_answer_in_umbras_words() {
    let bench = bench();
    let list = bench.get("/v1/webhooks");
    assert_eq!(list.status, 200);
    assert!(list.head.contains("cache-control: no-store"));
    let list = list.json();
    assert_eq!(list["result"], "success");
    let hook = &list["webhooks"][0];
    for (member, value) in [
        ("id", json!(1)),
        ("url", json!("https://erp.example/hooks/carbon?token=t")),
        ("events", json!(["invoice.*", "payment.created"])),
        ("is_active", json!(true)),
        ("dateCreated", json!("2026-03-12T10:00:00.000Z")),
    ] {
        assert_eq!(hook[member], value, "{member}");
    }
    assert_eq!(hook["counters"]["success_count"], 88_211);
    assert_eq!(bench.get("/v1/webhooks/1").json()["webhook"]["name"], "erp");
    let paused = bench.call("POST", "/v1/webhooks/default%2Ferp/pause", "");
    assert_eq!(paused.json()["webhook"]["state"], "paused");
    assert!(bench.engine.asked.lock().unwrap()[0].contains("tenant: Some(\"default\")"));
}

#[test]
fn problems_are_problem_json_everywhere() {
    let bench = bench();
    for (method, path, body, status, slug) in [
        ("GET", "/v1/nothing", "", 404, "not-found"),
        ("GET", "/v1/webhooks/none", "", 404, "not-found"),
        ("GET", "/v1/events/%FF", "", 400, "malformed"),
        ("DELETE", "/v1/webhooks", "", 405, "method-not-allowed"),
        ("GET", "/v1/deliveries?statsu=failed", "", 400, "unknown-parameter"),
        ("GET", "/v1/audit?x=1", "", 400, "unknown-parameter"),
        ("GET", "/v1/deliveries?status=lost", "", 400, "malformed"),
        ("GET", "/v1/deliveries?limit=0", "", 400, "malformed"),
        ("GET", "/v1/deliveries/0199", "", 400, "malformed"),
        ("GET", "/v1/events?after=old", "", 410, "cursor-expired"),
        ("POST", "/v1/events/match", "{", 422, "validation"),
        ("POST", "/v1/replays", "{\"idz\":[]}", 400, "malformed"),
        ("POST", "/v1/config/reload", "", 422, "validation"),
        ("POST", "/v1/deliveries/0199e3/replay", "", 409, "conflict"),
    ] {
        let reply = bench.call(method, path, body);
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        assert!(reply.head.contains("application/problem+json"), "{path}");
        assert_eq!(reply.json()["type"], format!("urn:spoolhook:problem:{slug}"), "{path}: {}", reply.body);
        assert_eq!(reply.json()["result"], "error");
    }
    assert_eq!(bench.call("POST", "/v1/config/reload", "").json()["errors"][0]["code"], "E001");
}

#[test]
fn a_body_beyond_the_bound_is_too_large() {
    let bench = bench();
    let reply = bench.call("POST", "/v1/events/match", &" ".repeat((4 << 20) + 1));
    assert_eq!((reply.status, reply.json()["type"].clone()), (413, json!("urn:spoolhook:problem:too-large")));
}

#[test]
fn lists_page_by_cursor_and_link() {
    let bench = bench();
    let reply = bench.get("/v1/deliveries?status=failed,unknown&subscription=erp&since=2026-03-12T10:00:00Z&cursor=c1");
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.head.contains("cursor=c2>; rel=\"next\""), "{}", reply.head);
    assert!(!reply.head.contains("cursor=c1"), "{}", reply.head);
    assert_eq!(reply.json()["next_cursor"], "c2");
    let asked = bench.engine.asked.lock().unwrap();
    assert!(asked[0].contains("[Failed, Unknown]") && asked[0].contains("Some(\"c1\")"), "{asked:?}");
}

#[test]
fn an_events_numbers_stay_as_written() {
    let bench = bench();
    assert!(bench.get("/v1/events").body.contains("9007199254740993"));
    assert_eq!(bench.get("/v1/events/evt_1").json()["subscriptions"][1]["matched"], false);
    assert_eq!(bench.call("POST", "/v1/events/match", "{}").status, 200);
}

#[test]
fn a_replay_answers_for_each_id() {
    let bench = bench();
    let reply = bench.call("POST", "/v1/replays", r#"{"ids":["0199e3","ffffff"],"consent":true}"#);
    assert_eq!(reply.status, 202);
    let rows = &reply.json()["data"];
    assert_eq!((rows[0]["accepted"].clone(), rows[0]["delivery_id"].clone()), (json!(true), json!(DELIVERY)));
    assert_eq!(rows[1]["reason"], "not_found");
    assert_eq!(bench.call("POST", "/v1/deliveries/0199e3/replay", r#"{"consent":true}"#).status, 202);
}

#[test]
fn over_tcp_health_is_for_everybody_and_the_rest_for_tokens() {
    let bench = bench();
    let address = bench.admin.tcp_address().unwrap();
    let get = |path| exchange(TcpStream::connect(address).unwrap(), "GET", path, "");
    assert_eq!(get("/livez").body, "ok\n");
    let ready = get("/readyz");
    assert_eq!((ready.status, ready.json()["checks"].clone()), (503, json!([{"name": "spool", "ok": false}])));
    assert_eq!(get("/v1/status").status, 403, "this name is nobody's");
    assert_eq!(bench.get("/readyz").json()["checks"][0]["reason"], "it cannot be listed");
}

#[test]
fn what_is_changed_is_written_down() {
    let bench = bench();
    bench.call("POST", "/v1/webhooks/erp/pause", "");
    bench.call("POST", "/v1/webhooks/none/pause", "");
    bench.call("POST", "/v1/events/match", "{}");
    bench.call("POST", "/v1/deliveries/0199e3/replay", r#"{"consent":true}"#);
    let made = bench.call("POST", "/v1/tokens", r#"{"name":"monitor"}"#);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!((made.status, made.json()["scope"].clone(), token.len()), (201, json!("read"), 47));
    let gone = bench.call("DELETE", "/v1/tokens/monitor", "");
    assert_eq!(gone.status, 200, "{}", gone.body);
    let reply = bench.get("/v1/changes");
    let changes = reply.json()["data"].clone();
    let things: Vec<&str> = changes.as_array().unwrap().iter().map(|row| row["thing"].as_str().unwrap()).collect();
    let replayed = format!("delivery {DELIVERY}");
    assert_eq!(things, ["token monitor", "token monitor", &replayed, "subscription default/erp"]);
    assert_eq!((&changes[3]["before"]["state"], &changes[3]["after"]["state"]), (&json!("active"), &json!("paused")));
    assert_eq!((&changes[3]["by"], &changes[3]["route"]), (&json!("socket"), &json!("/v1/webhooks/{id}/pause")));
    assert!(changes[0]["request_id"].is_string() && !reply.body.contains(&token), "{}", reply.body);
}

#[test]
fn the_stream_tells_the_attempts_it_was_asked_for() {
    let bench = bench();
    let mut stream = UnixStream::connect(&bench.socket).unwrap();
    write!(stream, "GET /v1/stream?failed=true HTTP/1.0\r\nHost: t\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    lines.by_ref().find(|line| line.is_empty()).unwrap();
    bench.live.announce(attempt_line(DeliveryStatus::Delivered));
    bench.live.announce(attempt_line(DeliveryStatus::Failed));
    assert_eq!(lines.next().as_deref(), Some("event: attempt"));
    let line = lines.next().unwrap();
    assert!(line.starts_with("data: {") && line.contains("\"status\":\"failed\""), "{line}");
}

#[test]
fn a_stop_ends_streams_and_removes_the_socket() {
    let bench = bench();
    let mut stream = UnixStream::connect(&bench.socket).unwrap();
    write!(stream, "GET /v1/stream HTTP/1.0\r\nHost: t\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut String::new()).unwrap();
    bench.admin.stop();
    reader.read_to_string(&mut String::new()).unwrap();
    assert!(!bench.socket.exists());
}

#[test]
fn a_poll_waits_for_news_and_no_longer() {
    let bench = bench();
    let empty = bench.get("/v1/events?after=e8&wait=20ms");
    assert_eq!((empty.status, empty.json()["next_cursor"].clone()), (200, json!("e8")));
    let answers = std::thread::scope(|scope| {
        let polls: Vec<_> = (0..20).map(|_| scope.spawn(|| bench.get("/v1/events?after=e8&wait=30s").status)).collect();
        // Twenty wait, and others are answered meanwhile.
        assert_eq!(bench.get("/v1/status").status, 200);
        let mut told = 0;
        while polls.iter().any(|poll| !poll.is_finished()) {
            bench.engine.has_news.store(true, std::sync::atomic::Ordering::SeqCst);
            bench.live.moved(true, true);
            std::thread::yield_now();
            told += 1;
        }
        assert!(told > 0);
        polls.into_iter().map(|poll| poll.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(answers, vec![200; 20]);
}

#[test]
fn a_stop_answers_those_who_wait_for_events() {
    let bench = bench();
    let mut stream = UnixStream::connect(&bench.socket).unwrap();
    write!(stream, "GET /v1/events?after=e8&wait=30s HTTP/1.0\r\nHost: t\r\n\r\n").unwrap();
    while !bench.engine.asked.lock().unwrap().iter().any(|asked| asked.contains("poll")) {
        std::thread::yield_now();
    }
    bench.admin.stop();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 200") && text.contains("\"next_cursor\":\"e8\""), "{text}");
}

#[test]
fn a_poll_says_what_it_cannot_read() {
    let bench = bench();
    for query in ["only=undelivered", "only=all&subscription=erp", "wait=31s", "limit=1001", "after=a&cursor=b"] {
        let reply = bench.get(&format!("/v1/events?{query}"));
        assert_eq!((reply.status, reply.json()["status"].clone()), (400, json!(400)), "{query}: {}", reply.body);
    }
    bench.get("/v1/events?only=undelivered&subscription=acme/erp&type=a.*&tenant=acme&limit=7");
    let asked = bench.engine.asked.lock().unwrap().join("\n");
    for part in ["only_undelivered: true", "Some(\"acme\")", "Some(\"a.*\")", "limit: 7"] {
        assert!(asked.contains(part), "{asked}");
    }
}
