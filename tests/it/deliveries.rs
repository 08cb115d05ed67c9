//! What becomes of deliveries when receivers refuse, engines stop and people send things again.

use std::time::{Duration, Instant};

use serde_json::json;
use spoolhook::receiver::Options;

use crate::usage::support::{Home, bodies, receiver, receiver_at, subscription, until};

#[test]
fn a_stop_waits_for_what_is_on_its_way() {
    let options = Options { delay: Duration::from_millis(700), collect: true, ..Options::default() };
    let target = spoolhook::receiver::Receiver::start(([127, 0, 0, 1], 0).into(), options).unwrap();
    let home = Home::new(&subscription("slow", target.addr(), "mode = \"at-most-once\"\nretry = \"none\""));
    let mut engine = home.engine();
    home.run(&["send", "a.b"]).expect(0);
    until("it is on its way", || home.run(&["status", "--json"]).json()["deliveries"]["pending"] == 1);
    let asked = Instant::now();
    assert_eq!(engine.stop(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(5));
    let books = home.books("slow");
    assert_eq!((&books["delivered"], &books["unknown"]), (&json!(1), &json!(0)));
    let mut engine = home.spawn(&["run"]);
    until("it runs", || home.run(&["status"]).code == 0);
    engine.signal("INT");
    assert_eq!(engine.wait(), Some(130));
}

#[test]
fn gone_pauses_and_says_why() {
    let target = receiver(&[410]);
    let home = Home::new(&subscription("a", target.addr(), ""));
    let mut engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(1);
    until("it is paused", || home.sub("a")["state"] == "paused");
    assert!(home.sub("a")["state_reason"].as_str().unwrap().contains("410"), "{}", home.sub("a"));
    assert!(home.run(&["subs", "show", "a"]).expect(0).out.contains("410"));
    home.run(&["send", "a.c"]).expect(0);
    until("it queues", || home.sub("a")["counters"]["pending"] == 1);
    assert_eq!(target.count(), 1);
    engine.kill();
    let _engine = home.engine();
    assert_eq!(home.sub("a")["state"], "paused", "a restart resumes nothing");
}

#[test]
fn nothing_but_failures_for_too_long_pauses_and_keeps_the_events() {
    let target = receiver(&[500]);
    let delivery = "[delivery]\npause_failing_after = \"2s\"\n";
    let retry = format!("retry = [{}]", ["\"500ms\""; 40].join(", "));
    let home = Home::new(&format!("{delivery}{}", subscription("a", target.addr(), &retry)));
    let _engine = home.engine();
    home.run(&["send", "a.b"]).expect(0);
    until("it is paused", || home.sub("a")["state"] == "paused");
    let reason = home.sub("a")["state_reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("every attempt since 20") && reason.contains("http_5xx"), "{reason}");
    home.run(&["send", "a.c"]).expect(0);
    until("both are kept", || home.sub("a")["counters"]["pending"] == 2);
    let addr = target.addr();
    drop(target);
    let _mended = receiver_at(addr, &[200]);
    home.run(&["subs", "resume", "a"]).expect(0);
    until("both arrive", || home.sub("a")["counters"]["pending"] == 0);
    assert_eq!(home.sub("a")["state"], "active");
}

#[test]
fn redirects_are_failures_and_never_followed() {
    let home = Home::empty();
    let target = receiver(&[302]);
    home.configure(&subscription("a", target.addr(), "retry = \"none\""));
    let _engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(1);
    assert_eq!(home.deliveries(&["--outcome", "http_3xx"])[0]["status"], "failed");
    assert_eq!(target.count(), 1);
}

#[test]
fn counters_survive_stops_and_crashes() {
    let target = receiver(&[200, 500]);
    let home = Home::new(&subscription("a", target.addr(), "retry = \"none\""));
    let mut engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(0);
    home.run(&["send", "a.b", "--wait"]).expect(1);
    let before = home.sub("a")["counters"].clone();
    assert_eq!((&before["success_count"], &before["error_count"]), (&json!(1), &json!(1)));
    assert_eq!(before["last_error"], "http_5xx");
    assert!(before["last_success_at"].is_string() && before["last_error_at"].is_string());
    for crash in [false, true] {
        if crash {
            engine.kill();
        } else {
            assert_eq!(engine.stop(), Some(0));
        }
        engine = home.engine();
        assert_eq!(home.sub("a")["counters"], before);
    }
    assert_eq!(home.books("a")["failed"], 1);
}

#[test]
fn a_failed_delivery_is_replayed_under_its_id() {
    let broken = receiver(&[500]);
    let addr = broken.addr();
    let home = Home::new(&subscription("a", addr, "retry = \"none\""));
    let _engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(1);
    let id = home.deliveries(&["--status", "failed"])[0]["id"].as_str().unwrap().to_owned();
    drop(broken);
    let mended = receiver_at(addr, &[200]);
    let said = home.run(&["replay", &id[..8]]).expect(0);
    assert!(said.out.contains("accepted") && said.out.contains(&id), "{}", said.all());
    until("it is delivered", || home.deliveries(&["--status", "delivered"]).len() == 1);
    let now = &home.deliveries(&[])[0];
    assert_eq!((&now["id"], &now["attempts"]), (&json!(id), &json!(2)));
    assert_eq!(mended.count(), 1);
    assert_eq!(bodies(&mended)[0]["type"], "a.b");
    let page = crate::metrics::get(home.path("state/spoolhook.sock"), "/metrics");
    assert!(page.contains("spoolhook_replay_deliveries_total{outcome=\"success\"} 1\n"), "{page}");
    let books = home.books("a");
    assert_eq!((&books["matched"], &books["delivered"], &books["failed"]), (&json!(1), &json!(1), &json!(0)));
    home.run(&["replay", "ffffffff"]).expect(1);
    home.run(&["replay", &id, &id]).expect(2);
    home.run(&["replay"]).expect(2);
}

#[test]
fn at_most_once_deliveries_of_a_lost_state_are_unknown_and_shown() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), "mode = \"at-most-once\"\nretry = \"none\""));
    home.spool("a.ndjson", "{\"type\":\"a.b\",\"data\":1}\n");
    home.drain();
    std::fs::remove_dir_all(home.path("state")).unwrap();
    let _engine = home.engine();
    until("it is judged", || home.sub("a")["counters"]["pending"] == 0 && home.books("a")["matched"] == 1);
    assert_eq!((target.count(), &home.books("a")["unknown"]), (1, &json!(1)));
    let shown = home.deliveries(&["--status", "unknown"]);
    let id = shown[0]["id"].as_str().unwrap();
    let said = home.run(&["deliveries", "show", id]).expect(0).out;
    assert!(said.contains("nobody knows whether it was sent"), "{said}");
    home.run(&["replay", id]).expect(1);
    home.run(&["replay", id, "--yes"]).expect(0);
    until("it is sent", || target.count() == 2);
}

#[test]
fn what_is_pending_or_delivered_is_replayed_too() {
    let refused = receiver(&[500]);
    let addr = refused.addr();
    let home = Home::new(&subscription("a", addr, "retry = [\"1h\"]"));
    let mut engine = home.engine();
    home.run(&["send", "a.b", "--wait=500ms"]).expect(1);
    let id = home.deliveries(&["--status", "pending"])[0]["id"].as_str().unwrap().to_owned();
    drop(refused);
    let mended = receiver_at(addr, &[200]);
    for count in 1..=3 {
        home.run(&["replay", &id]).expect(0);
        until("it is sent", || mended.count() == count && home.deliveries(&["--status", "delivered"]).len() == 1);
    }
    assert_eq!(home.deliveries(&[]).len(), 1, "one delivery is one row, however often it was sent");
    home.run(&["subs", "pause", "a"]).expect(0);
    home.run(&["replay", &id]).expect(0);
    assert_eq!(home.books("a")["pending"], 1);
    home.run(&["send", "a.c"]).expect(0);
    until("a second one waits", || home.deliveries(&["--status", "pending"]).len() == 2);
    let untried = home.deliveries(&["--status", "pending", "--type", "a.c"])[0]["id"].as_str().unwrap().to_owned();
    assert!(home.run(&["deliveries", "show", &untried]).expect(0).out.contains("It waits for its first attempt."));
    assert!(home.run(&["replay", &untried]).expect(1).out.contains("nothing to repeat"));
    home.run(&["subs", "resume", "a"]).expect(0);
    until("both are sent", || home.deliveries(&["--status", "delivered"]).len() == 2);
    assert_eq!((engine.stop(), mended.count()), (Some(0), 5));
    let books = home.books("a");
    assert_eq!((&books["matched"], &books["delivered"]), (&json!(2), &json!(2)));
}

#[test]
fn an_at_most_once_delivery_is_replayed_only_with_consent_and_as_a_new_one() {
    let broken = receiver(&[500]);
    let addr = broken.addr();
    let home = Home::new(&subscription("a", addr, "mode = \"at-most-once\"\nretry = \"none\""));
    let _engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(1);
    let id = home.deliveries(&["--status", "failed"])[0]["id"].as_str().unwrap().to_owned();
    drop(broken);
    let mended = receiver_at(addr, &[200]);
    let refused = home.run(&["replay", &id, "--json"]).expect(1).json();
    assert_eq!(refused["data"][0]["reason"], "consent_required");
    assert_eq!(mended.count(), 0);
    let accepted = home.run(&["replay", &id, "--yes", "--json"]).expect(0).json();
    let fresh = accepted["data"][0]["delivery_id"].as_str().unwrap().to_owned();
    assert_ne!(fresh, id);
    until("it is delivered", || home.deliveries(&["--status", "delivered"]).len() == 1);
    assert_eq!(home.deliveries(&["--status", "delivered"])[0]["id"], json!(fresh));
    assert_eq!(mended.count(), 1);
    let books = home.books("a");
    assert_eq!((&books["matched"], &books["delivered"], &books["failed"]), (&json!(2), &json!(1), &json!(1)));
}

/// What `deliveries show` says of a delivery.
fn why(home: &Home, id: &str) -> String {
    home.run(&["deliveries", "show", id, "--json"]).expect(0).json()["why"].as_str().unwrap().to_owned()
}

/// Sends an event of this type and key, and gives back its delivery as soon as it is listed.
fn sent(home: &Home, event_type: &str, key: &str) -> String {
    home.run(&["send", event_type, "--key", key]).expect(0);
    let mut found = Vec::new();
    until("it is listed", || {
        found = home.deliveries(&["--type", event_type]);
        !found.is_empty()
    });
    found[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_delivery_that_waits_says_what_holds_it_back() {
    let refused = receiver(&[500]);
    let home = Home::new(&subscription("a", refused.addr(), "retry = [\"1h\"]\norder_by = \"key\""));
    let _engine = home.engine();
    let first = sent(&home, "a.b", "k");
    until("it waits for a retry", || why(&home, &first).contains("It will be tried again at 20"));
    let second = sent(&home, "a.c", "k");
    let behind = format!("An earlier delivery of its key, {first}, is to be settled first");
    until("it waits for its turn", || why(&home, &second).contains(&behind));
    home.run(&["subs", "pause", "a"]).expect(0);
    for id in [&first, &second] {
        let said = why(&home, id);
        assert!(said.contains("paused by an operator") && said.contains("spoolhook subs resume a"), "{said}");
    }
    home.run(&["deliveries", "cancel", &second]).expect(0);
    home.run(&["deliveries", "cancel", &first]).expect(0);
    for id in [&first, &second] {
        let said = why(&home, id);
        assert!(said.contains("It was cancelled by hand") && !said.contains("was removed"), "{said}");
    }
}

#[test]
fn a_delivery_says_that_the_rate_limit_or_the_receiver_holds_it_back() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), "rate_limit = \"1/h\""));
    let _engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(0);
    let id = sent(&home, "a.c", "k");
    until("the rate is named", || why(&home, &id).contains("The rate limit (1/1h) lets the next one go at 20"));
}

#[test]
fn a_superseded_delivery_names_the_newer_state() {
    let target = receiver(&[500]);
    let more = "retry = [\"1h\"]\norder_by = \"key\"\nsupersede = true";
    let home = Home::new(&subscription("a", target.addr(), more));
    let _engine = home.engine();
    let first = sent(&home, "a.b", "k");
    until("it waits for a retry", || why(&home, &first).contains("It will be tried again at 20"));
    sent(&home, "a.c", "k");
    until("it is overtaken", || why(&home, &first).contains("A newer state of its key took its place"));
}
