//! Replays of many deliveries: their counts, their pace, and kills in between.
//!
//! `SPOOLHOOK_REPLAY_DELIVERIES` and `SPOOLHOOK_REPLAY_RATE` (per second) set the size; `cargo test --release --test it
//! replays::many -- --nocapture` prints the figures, the way of live events with and without a replay among them.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use spoolhook::env::{Clock, SystemClock};
use spoolhook::http::UnixClient;

use crate::support::{HEAD, Scenario, Sink, number, pause, wait_until};
use crate::usage::support::{Home, receiver, receiver_at, subscription, until};

const PATIENCE: Duration = Duration::from_secs(900);
const LIVE_EVERY: Duration = Duration::from_millis(10);

/// One call over the socket.
fn call(socket: &Path, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let client = UnixClient::new(socket.to_owned());
    let (status, bytes) = client.request(method, path, (!body.is_empty()).then_some(&body[..])).unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn spool(scenario: &Scenario, name: &str, lines: &str) {
    for dir in ["spool/in", "spool/tmp"] {
        std::fs::create_dir_all(scenario.path(dir)).unwrap();
    }
    let draft = scenario.path(format!("spool/tmp/{name}"));
    std::fs::File::create(&draft).unwrap().write_all(lines.as_bytes()).unwrap();
    std::fs::rename(draft, scenario.path(format!("spool/in/{name}"))).unwrap();
}

/// When live events were written and when they came.
#[derive(Default)]
struct Ways(Mutex<HashMap<String, (Duration, Option<Duration>)>>);

impl Ways {
    /// The 50th and 99th percentile, and forgets what it measured.
    fn take(&self) -> (Duration, Duration, usize) {
        let mut ways: Vec<Duration> =
            self.0.lock().unwrap().drain().filter_map(|(_, (from, to))| Some(to?.saturating_sub(from))).collect();
        ways.sort();
        let at = |share: usize| ways.get(ways.len() * share / 100).copied().unwrap_or_default();
        (at(50), at(99), ways.len())
    }
}

fn config(sink: &Sink) -> String {
    let addr = sink.addr();
    format!(
        r#"{HEAD}
[dialect.live]
body = '{{"event":{{{{id}}}}}}'
headers = {{ X-Delivery-Id = "{{{{id}}}}" }}
[dialect.bulk]
body = '{{"event":{{{{id}}}},"data":{{{{data}}}}}}'
headers = {{ X-Delivery-Id = "{{{{delivery_id}}}}", X-Attempt = "{{{{attempt}}}}" }}
[[subscription]]
name = "live"
url = "http://{addr}/live"
dialect = "live"
events = ["live"]
[[subscription]]
name = "bulk"
url = "http://{addr}/bulk"
dialect = "bulk"
events = ["bulk.*"]
retry = "none"
"#
    )
}

#[test]
fn many_survive_a_kill_and_a_cancel_with_exact_counts() {
    let wanted = number("SPOOLHOOK_REPLAY_DELIVERIES", 3_000);
    let rate = number("SPOOLHOOK_REPLAY_RATE", 1_000);
    let clock = Arc::new(SystemClock::new());
    let (mended, ways) = (Arc::new(AtomicBool::new(false)), Arc::new(Ways::default()));
    let sink = {
        let (mended, ways, clock) = (mended.clone(), ways.clone(), clock.clone());
        Sink::start(move |path, id, _| match path {
            "/live" => {
                if let Some((_, came)) = ways.0.lock().unwrap().get_mut(id) {
                    came.get_or_insert(clock.monotonic());
                }
                200
            }
            _ if mended.load(Ordering::SeqCst) => 200,
            // Nothing but failures would hold first attempts back.
            _ if id.ends_with(['0', '1', '2', '3']) => 200,
            _ => 404,
        })
    };
    let scenario = Scenario::new(&config(&sink));
    let socket = scenario.path("state/spoolhook.sock");
    let mut engine = scenario.engine();
    engine.ready();
    let lines_count = wanted * 4 / 3;
    let line = |n| format!("{{\"type\":\"bulk.{}\",\"data\":{{\"n\":{n}}}}}\n", ["a", "b"][n as usize % 2]);
    let lines: String = (0..lines_count).map(line).collect();
    spool(&scenario, "bulk.ndjson", &lines);
    let stats = || scenario.cli(&["status"]).json["deliveries"].clone();
    let is_through =
        || stats()["delivered"].as_u64().zip(stats()["failed"].as_u64()).is_some_and(|(a, b)| a + b == lines_count);
    assert!(wait_until(PATIENCE, is_through), "{}", stats());
    let all = stats()["failed"].as_u64().unwrap();
    let well = lines_count - all;
    mended.store(true, Ordering::SeqCst);

    let writing = Arc::new(AtomicBool::new(true));
    let writer = {
        let (writing, ways, clock, dir) = (writing.clone(), ways.clone(), clock.clone(), scenario.path("spool"));
        std::thread::spawn(move || {
            for n in 0.. {
                if !writing.load(Ordering::SeqCst) {
                    return;
                }
                let (id, draft) = (format!("l{n}"), dir.join(format!("tmp/l{n}")));
                std::fs::write(&draft, format!("{{\"type\":\"live\",\"id\":\"{id}\",\"data\":1}}\n")).unwrap();
                ways.0.lock().unwrap().insert(id.clone(), (clock.monotonic(), None));
                std::fs::rename(draft, dir.join(format!("in/{id}.ndjson"))).unwrap();
                pause(LIVE_EVERY);
            }
        })
    };
    pause(Duration::from_secs(3));
    let calm = ways.take();

    let filter = json!({"subscription": "bulk", "status": "failed"});
    let with = |members: Value| {
        let mut order = filter.clone();
        order.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        order
    };
    let asked = clock.monotonic();
    let (status, preview) =
        call(&socket, "POST", "/v1/replays", with(json!({"dry_run": true, "rate": format!("{rate}/s")})));
    let dry_run = clock.monotonic() - asked;
    assert_eq!((status, &preview["count"], &preview["at_most_once"]), (200, &json!(all), &json!(0)));
    let types: u64 = preview["types"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(types, all);
    assert_eq!(preview["estimate_s"], json!(all.div_ceil(rate)));
    assert!(dry_run < Duration::from_secs(3), "a dry run took {dry_run:?}");
    let (status, problem) = call(&socket, "POST", "/v1/replays", with(json!({"expect_count": all + 1})));
    assert_eq!(status, 409, "{problem}");
    let memory = engine.memory_kib();
    let asked = clock.monotonic();
    let (status, job) =
        call(&socket, "POST", "/v1/replays", with(json!({"expect_count": all, "rate": format!("{rate}/s")})));
    assert_eq!((status, &job["status"], &job["matched"]), (202, &json!("running"), &json!(all)), "{job}");
    let made = clock.monotonic() - asked;
    let path = format!("/v1/replays/{}", job["id"].as_str().unwrap());
    let get = || call(&socket, "GET", &path, Value::Null).1;
    let sent = |share: u64| {
        let enough = || get()["sent"].as_u64().is_some_and(|sent| sent >= all * share / 10);
        assert!(wait_until(PATIENCE, enough), "{}", get());
    };
    sent(2);
    engine.kill();
    let busy = ways.take();
    let mut engine = scenario.engine();
    engine.ready();
    pause(Duration::from_millis(500));
    ways.take();
    sent(4);
    let busy_again = ways.take();
    let growth = engine.memory_kib().saturating_sub(memory);
    let (status, cancelled) = call(&socket, "DELETE", &path, Value::Null);
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert_eq!(call(&socket, "DELETE", &path, Value::Null).0, 409);
    engine.kill();
    let mut engine = scenario.engine();
    engine.ready();
    let is_over = || get()["finished_at"].is_string();
    assert!(wait_until(PATIENCE, is_over), "{}", get());
    let ended = get();
    let count = |job: &Value, name: &str| job[name].as_u64().unwrap();
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert_eq!((count(&ended, "failed"), count(&ended, "skipped"), count(&ended, "pending")), (0, 0, 0), "{ended}");
    assert_eq!(count(&ended, "delivered"), count(&ended, "sent"));
    assert_eq!(count(&ended, "sent") + count(&ended, "cancelled"), all);
    assert!(count(&ended, "cancelled") >= all / 4, "{ended}");
    let again =
        || sink.seen("/bulk").values().filter(|seen| seen.sent.iter().any(|(attempt, _)| *attempt == 2)).count() as u64;
    assert_eq!(again(), count(&ended, "sent"));
    let books = || {
        let books = scenario.cli(&["audit"]);
        assert_eq!((books.code, &books.json["differences"]), (Some(0), &json!([])), "{}", books.json);
        let rows = books.json["subscriptions"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["subscription"] == "bulk").unwrap()
    };
    assert_eq!(
        (&books()["delivered"], &books()["failed"]),
        (&json!(well + count(&ended, "sent")), &ended["cancelled"])
    );

    // What was cancelled, as fast as it goes.
    let began = clock.monotonic();
    let rest = scenario.cli(&["replay", "--subscription", "bulk", "--type", "bulk.*", "--yes", "--wait"]);
    let took = clock.monotonic() - began;
    assert_eq!((rest.code, &rest.json["status"]), (Some(0), &json!("done")), "{} {}", rest.json, rest.stderr);
    assert_eq!((&rest.json["matched"], &rest.json["delivered"]), (&ended["cancelled"], &ended["cancelled"]));
    assert_eq!((&books()["delivered"], &books()["failed"]), (&json!(lines_count), &json!(0)));
    let seen = sink.seen("/bulk");
    assert!(
        seen.values().all(|seen| seen.sent.iter().all(|(attempt, _)| *attempt <= 2)),
        "one was sent twice by a job"
    );
    assert_eq!((seen.len() as u64, again(), sink.faults()), (lines_count, all, Vec::<String>::new()));
    let (_, list) = call(&socket, "GET", "/v1/replays?limit=1", Value::Null);
    assert_eq!((&list["data"][0]["status"], &list["has_more"]), (&json!("done"), &json!(true)));
    writing.store(false, Ordering::SeqCst);
    writer.join().unwrap();
    let unpaced = count(&rest.json, "sent") as f64 / took.as_secs_f64();
    println!(
        "{all} deliveries at {rate}/s: dry run {dry_run:?}, made {made:?}, memory +{growth} KiB, unpaced {unpaced:.0}/s"
    );
    println!("live p50, p99, events: calm {calm:?}, busy {busy:?}, busy again {busy_again:?}");
}

#[test]
fn at_most_once_asks_for_consent_and_goes_as_new_deliveries() {
    let broken = receiver(&[404]);
    let addr = broken.addr();
    let home = Home::new(&subscription("a", addr, "mode = \"at-most-once\"\nretry = \"none\""));
    let mut engine = home.engine();
    let socket = home.path("state/spoolhook.sock");
    for _ in 0..3 {
        home.run(&["send", "a.b", "--wait"]).expect(1);
    }
    drop(broken);
    let mended = receiver_at(addr, &[200]);
    let (status, problem) = call(&socket, "POST", "/v1/replays", json!({"subscription": "a"}));
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("3 of 3 deliveries are at-most-once"), "{problem}");
    home.run(&["replay", "--subscription", "a"]).expect(2);
    let said = home.run(&["replay", "--subscription", "a", "-n"]).expect(0).out;
    assert!(said.contains("would replay 3 deliveries") && said.contains("at-most-once: 3"), "{said}");
    let job = home.run(&["replay", "--subscription", "a", "--yes", "--wait", "--json"]).expect(0).json();
    assert_eq!((&job["matched"], &job["delivered"]), (&json!(3), &json!(3)), "{job}");
    assert_eq!(mended.count(), 3);
    let books = home.books("a");
    assert_eq!((&books["matched"], &books["delivered"], &books["failed"]), (&json!(6), &json!(3), &json!(3)));
    // What went again as something new is not taken a second time, unless it is named.
    let dry_run = json!({"subscription": "a", "dry_run": true});
    assert_eq!(call(&socket, "POST", "/v1/replays", dry_run.clone()).1["count"], 0);
    let named = home.deliveries(&["--status", "failed"])[0]["id"].as_str().unwrap().to_owned();
    home.run(&["replay", &named, "--yes"]).expect(0);
    until("it is sent once more", || mended.count() == 4);
    // The log of changes names jobs with what they were asked for, and no dry runs.
    let (_, changes) = call(&socket, "GET", "/v1/changes", Value::Null);
    let things: Vec<&str> =
        changes["data"].as_array().unwrap().iter().map(|row| row["thing"].as_str().unwrap()).collect();
    let replayed = format!("replay {}", job["id"].as_str().unwrap());
    assert_eq!((things.len(), things[1]), (2, replayed.as_str()), "{changes}");
    assert_eq!(changes["data"][1]["after"]["filter"]["subscription"], "a");
    engine.kill();
    let _engine = home.engine();
    until("it has started", || call(&socket, "POST", "/v1/replays", dry_run.clone()).1["count"] == 0);
    let id = job["id"].as_str().unwrap();
    assert!(home.run(&["replay", "show", id]).expect(0).out.contains("3 delivered, 0 failed"));
    assert!(home.run(&["replay", "list"]).expect(0).out.contains(id));
    home.run(&["replay", "cancel", id]).expect(1);
}

#[test]
fn bounds_and_orders_that_make_no_sense_are_refused() {
    let target = receiver(&[404]);
    let home = Home::new(&subscription("a", target.addr(), "retry = \"none\""));
    let _engine = home.engine();
    let socket = home.path("state/spoolhook.sock");
    home.run(&["send", "a.b", "--wait"]).expect(1);
    let post = |order: Value| call(&socket, "POST", "/v1/replays", order);
    for (order, status) in [
        (json!({}), 400),
        (json!({"statsu": "failed"}), 400),
        (json!({"status": "delivered"}), 422),
        (json!({"status": "failed", "rate": "fast"}), 422),
        (json!({"subscription": "b"}), 404),
        (json!({"status": "failed", "preset": "carrier"}), 422),
        (json!({"status": "failed", "preset": "carriyo"}), 422),
        (json!({"preset": "carriyo", "since": "2020-01-01T00:00:00Z"}), 422),
    ] {
        assert_eq!(post(order.clone()).0, status, "{order}");
    }
    let now = SystemClock::new().now();
    let since = now.minus(Duration::from_secs(3600)).to_string();
    let (_, problem) = post(json!({"preset": "carriyo", "since": now.minus(Duration::from_secs(100_000)).to_string()}));
    assert!(problem["detail"].as_str().unwrap().contains("more than 1 day"), "{problem}");
    let (status, answer) = post(json!({"preset": "carriyo", "since": since, "subscription": "a"}));
    assert_eq!((status, &answer["original_failure_count"]), (202, &json!(1)), "{answer}");
    assert_eq!(answer["retriggered_count"], 1);
}

#[test]
fn a_delivery_that_waits_is_cancelled_and_the_books_balance() {
    let refused = receiver(&[500]);
    let addr = refused.addr();
    let home = Home::new(&subscription("a", addr, "retry = [\"1h\"]"));
    let mut engine = home.engine();
    home.run(&["send", "a.parked", "--wait=500ms"]).expect(1);
    let parked = home.deliveries(&["--type", "a.parked"])[0]["id"].as_str().unwrap().to_owned();
    home.run(&["subs", "pause", "a"]).expect(0);
    for name in ["a.one", "a.two", "a.three"] {
        home.run(&["send", name]).expect(0);
    }
    until("they wait", || home.books("a")["pending"] == 4);
    let two = home.deliveries(&["--type", "a.two"])[0]["id"].as_str().unwrap().to_owned();
    let said = home.run(&["deliveries", "cancel", &parked, &two]).expect(0).out;
    assert!(said.contains(&parked) && said.contains(&two), "{said}");
    home.run(&["deliveries", "cancel", &two]).expect(1);
    let books = home.books("a");
    assert_eq!((&books["cancelled"], &books["pending"]), (&json!(2), &json!(2)));
    assert_eq!(home.deliveries(&["--status", "cancelled"]).len(), 2);
    engine.kill();
    drop(refused);
    let mended = receiver_at(addr, &[200]);
    let mut engine = home.engine();
    home.run(&["subs", "resume", "a"]).expect(0);
    until("the others are sent", || home.books("a")["delivered"] == 2);
    let (one, three) = ("a.one", "a.three");
    let types: Vec<Value> = crate::usage::support::bodies(&mended).iter().map(|body| body["type"].clone()).collect();
    assert_eq!(types, [json!(one), json!(three)]);
    let delivered = home.deliveries(&["--type", one])[0]["id"].as_str().unwrap().to_owned();
    assert!(home.run(&["deliveries", "cancel", &delivered]).expect(1).err.contains("ended already: delivered"));
    assert_eq!(engine.stop(), Some(0));
    let books = home.books("a");
    assert_eq!((&books["matched"], &books["delivered"], &books["cancelled"]), (&json!(4), &json!(2), &json!(2)));
}

#[test]
fn an_attempt_shows_the_request_that_was_made() {
    let target = receiver(&[503]);
    let more = "retry = \"none\"\nallow_http = true\ndialect = \"umbra\"\nsecret = \"whsec_dGVzdA==\"\nheaders = { X-Key = \"hidden\" }";
    let home = Home::new(&subscription("a", target.addr(), more));
    let _engine = home.engine();
    home.run(&["send", "a.b", "-d", "{\"n\":1.50}", "--wait"]).expect(1);
    let id = home.deliveries(&[])[0]["id"].as_str().unwrap().to_owned();
    let (client, base) =
        (UnixClient::new(home.path("state/spoolhook.sock")), format!("/v1/deliveries/{id}/attempts/1"));
    let get = |path: &str| client.request("GET", path, None).unwrap();
    let (status, bytes) = get(&base);
    let attempt: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((status, &attempt["status_code"], &attempt["number"]), (200, &json!(503), &json!(1)), "{attempt}");
    let received = target.received();
    let (_, body) = get(&format!("{base}/request.body"));
    assert_eq!(body, received[0].body, "the same bytes");
    let headers = attempt["request"]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["X-Key", "***"])) && !attempt.to_string().contains("hidden"), "{attempt}");
    for header in headers.iter().filter(|header| header[1] != "***") {
        let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
        let sent = received[0].headers.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name));
        assert_eq!(sent.map(|(_, value)| value.as_str()), Some(value), "{name} is as it was sent");
    }
    assert_eq!(get(&format!("{base}/response.body")).0, 200);
    assert_eq!(get(&format!("/v1/deliveries/{id}/attempts/2")).0, 404);
    assert_eq!(home.deliveries(&["--status-code", "5xx", "--trigger", "first"]).len(), 1);
    assert_eq!(home.deliveries(&["--status-code", "404"]).len(), 0);
}
