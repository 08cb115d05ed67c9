//! The program as its user meets it: every command through the real binary, with its exit codes and its `--json`.

pub mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use support::{Home, receiver, subscription, until};

const SECRET: &str = "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LW5vdC1mb3ItdXNl";

#[test]
fn the_example_configuration_runs_as_it_is() {
    let home = Home::empty();
    let example = include_str!("../../config.toml");
    // The ports of the example may be taken on a machine that runs tests; everything else stays as it is.
    assert!(example.contains("listen = \"127.0.0.1:7380\"") && example.contains("http://127.0.0.1:9000/"));
    home.write("secret", SECRET);
    let mut listen = home.spawn(&["listen", "0", "--save", "saved", "--secret-file", "secret"]);
    until("listen says where", || listen.log().contains("listening on http://"));
    let address = listen.log().split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let config = example.replace("127.0.0.1:7380", "off").replace("127.0.0.1:9000", &address);
    home.write("config.toml", config);

    let mut engine = home.engine();
    let sent = home.run(&["send", "invoice.paid", "-d", "{\"total\": 1.10}", "--wait"]).expect(0);
    assert!(sent.out.contains("delivered to local after"), "{}", sent.out);
    let status = home.run(&["status"]).expect(0).out;
    assert!(status.contains("1 delivered") && status.contains("local") && status.contains("unchanged on disk"));

    until("the request is saved", || std::fs::read_dir(home.path("saved")).is_ok_and(|dir| dir.count() == 1));
    let saved = std::fs::read_dir(home.path("saved")).unwrap().next().unwrap().unwrap().path();
    let saved: Value = serde_json::from_slice(&std::fs::read(saved).unwrap()).unwrap();
    assert_eq!((&saved["method"], &saved["path"]), (&json!("POST"), &json!("/")));
    assert!(saved["body"].as_str().unwrap().contains("\"data\":{\"total\": 1.10}"), "{saved}");
    let headers = saved["headers"].as_array().unwrap();
    assert!(headers.iter().any(|pair| pair[0] == "webhook-signature"));
    assert!(saved["verdict"].as_str().unwrap().starts_with("signature ok (standard"));

    assert_eq!(engine.stop(), Some(0));
    assert!(engine.log().contains("\"msg\":\"running\""), "{}", engine.log());
    assert_eq!(listen.stop(), Some(0));
    assert!(listen.log().contains("signature ok"), "{}", listen.log());
}

#[test]
fn until_idle_delivers_and_ends() {
    let target = receiver(&[500, 200]);
    let dead = receiver(&[500]);
    let late = subscription("late", dead.addr(), "retry = [\"1h\"]");
    let home = Home::new(&format!("{}{late}", subscription("a", target.addr(), "max_in_flight = 1")));
    home.spool("a.ndjson", "{\"type\":\"a.b\",\"data\":1}\n{\"type\":\"a.b\",\"data\":2}\n");
    home.drain();
    assert_eq!(home.books("a")["delivered"], 2, "a retry that is due soon belongs to the run");
    assert_eq!((&home.books("late")["pending"], dead.count()), (&json!(2), 2), "one in an hour does not");
}

#[test]
fn questions_about_a_running_engine() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("erp", target.addr(), "events = [\"invoice.*\"]"));
    let _engine = home.engine();
    home.run(&["send", "invoice.paid", "--id", "inv-1", "-d", "{\"n\":1}", "--key", "k1", "--wait"]).expect(0);
    let nobody = home.run(&["send", "other.thing", "--id", "oth-1", "--wait"]).expect(0);
    assert!(nobody.out.contains("no subscription takes it"), "{}", nobody.out);

    let status = home.run(&["status", "--json"]).expect(0).json();
    assert_eq!((&status["state"], &status["spool"]["events"]), (&json!("running"), &json!(2)));
    let events = home.run(&["events", "list", "--json"]).expect(0).json();
    let ids: Vec<&Value> = events["data"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert_eq!(ids, ["inv-1", "oth-1"]);
    assert_eq!(home.run(&["events", "list", "--jsonl", "--limit", "1"]).expect(0).out.lines().count(), 1);
    let event = home.run(&["events", "show", "inv-1", "--json"]).expect(0).json();
    assert_eq!(event["subscriptions"][0]["delivery"]["status"], "delivered");
    assert!(home.run(&["events", "show", "oth-1"]).expect(0).out.contains("matches none of `invoice.*`"));
    home.run(&["events", "show", "nothing"]).expect(1);

    let line = b"{\"type\":\"invoice.paid\",\"data\":1}";
    assert!(home.run_with(&["events", "match"], line).expect(0).out.contains("yes"));
    home.run_with(&["events", "match"], b"{\"type\":\"other.thing\",\"data\":1}").expect(1);
    let bad = home.run_with(&["events", "match"], b"{\"type\":1}").expect(65);
    assert!(bad.err.contains("`type` must be a string"), "{}", bad.err);

    let id = home.deliveries(&["--status", "delivered"])[0]["id"].as_str().unwrap().to_owned();
    assert!(home.deliveries(&["--status", "failed"]).is_empty());
    let shown = home.run(&["deliveries", "show", &id[..8], "--json"]).expect(0).json();
    assert_eq!((&shown["id"], &shown["attempt_log"][0]["outcome"]), (&json!(id), &json!("success")));
    assert!(home.run(&["d", "show", &id]).expect(0).out.contains("The receiver answered 200"));
    home.run(&["deliveries", "show", "ffffffff"]).expect(1);
    home.run(&["deliveries", "list", "--status", "nonsense"]).expect(2);

    assert_eq!(home.run(&["subs", "list", "--json"]).expect(0).json()["webhooks"][0]["name"], "erp");
    assert!(home.run(&["subs", "show", "erp"]).expect(0).out.contains("attempts ok   1"));
    let missing = home.run(&["subs", "show", "nobody"]).expect(1);
    assert!(missing.err.contains("no subscription"), "{}", missing.err);
    assert!(home.run(&["quarantine", "list"]).expect(0).out.contains("nothing is quarantined"));
    home.run(&["quarantine", "show", "nothing"]).expect(1);
    assert!(home.run(&["audit"]).expect(0).out.contains("the books balance"));
    assert!(home.run(&["reload", "--wait"]).expect(0).out.contains("nothing changed"));
    assert_eq!(home.run(&["reload", "--json"]).expect(0).json()["applied"], true);
}

#[test]
fn tail_shows_attempts_as_they_happen() {
    let target = receiver(&[503, 200]);
    let home = Home::new(&subscription("erp", target.addr(), ""));
    let mut engine = home.engine();
    let (mut people, mut program) = (home.spawn(&["tail"]), home.spawn(&["tail", "--jsonl", "--failed"]));
    until("both follow", || [&people, &program].iter().all(|tail| tail.log().contains("following")));
    home.run(&["send", "a.b", "--wait"]).expect(0);
    until("both attempts are shown", || people.log().contains("503") && people.log().contains("200"));
    until("the failure is told", || program.log().contains("\"http_5xx\""));
    assert!(people.log().contains("attempt 1/3, next "), "{}", people.log());
    assert!(!program.log().contains("\"success\""));
    assert_eq!(engine.stop(), Some(0));
    assert_eq!((people.wait(), program.wait()), (Some(69), Some(69)));
}

#[test]
fn without_an_engine_questions_are_69_and_the_books_are_read_from_disk() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("erp", target.addr(), ""));
    for question in [&["status"][..], &["tail"], &["events", "list"], &["subs", "list"], &["reload"], &["audit"]] {
        let said = home.run(question).expect(69);
        assert!(said.err.contains("spoolhook run") && said.out.is_empty(), "{}", said.err);
    }
    assert!(!home.path("state").exists(), "an audit makes nothing");
    home.spool("a.ndjson", "{\"type\":\"a.b\",\"data\":1}\n\nnonsense\n");
    home.drain();
    let said = home.run(&["audit"]).expect(0);
    assert!(said.out.contains("3 lines = 1 event + 1 blank + 1 quarantined"), "{}", said.out);
    assert!(said.out.contains("the books balance") && said.err.contains("no engine runs"), "{}", said.all());
    assert_eq!(home.books("erp")["delivered"], 1);
    home.run(&["audit", "--socket", "elsewhere.sock"]).expect(69);
}

#[test]
fn an_audit_without_an_engine_says_what_it_found_in_the_state() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("erp", target.addr(), ""));
    home.spool("a.ndjson", "{\"type\":\"a.b\",\"data\":1}\n");
    home.drain();
    std::fs::write(home.path("state/view/db"), b"nothing that sled has written").unwrap();
    let said = home.run(&["audit"]).expect(0);
    assert!(said.err.contains("found:") && said.err.contains("made anew"), "{}", said.all());
    assert!(!home.run(&["audit"]).expect(0).err.contains("found:"), "it is mended");
}

#[test]
fn status_shows_what_needs_a_hand() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("erp", target.addr(), ""));
    let mut engine = home.engine();
    home.run(&["subs", "pause", "erp"]).expect(0);
    home.write("spool/in/notes.txt", "not an event file");
    home.spool("a.ndjson", "{\"type\":\"a.b\",\"data\":1}\n");
    let status = || home.run(&["status"]).expect(0).out;
    until("the unread file is named", || status().contains("notes.txt"));
    until("the event waits", || home.books("erp")["pending"] == 1);
    assert!(status().contains("erp is paused, events queue"), "{}", status());
    assert_eq!(engine.stop(), Some(0));
    for path in walk(&home.path("spool/claimed")) {
        std::fs::write(&path, "").unwrap();
        std::fs::rename(&path, home.path("taken-away")).unwrap();
    }
    let mut engine = home.engine();
    assert!(status().contains("1 dropped"), "{}", status());
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn sending_waits_for_an_engine_that_starts_and_says_so_when_none_does() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("erp", target.addr(), ""));
    home.drain();
    let alone = home.run(&["send", "a.b", "--id", "first", "--wait=100ms"]).expect(69);
    assert!(alone.err.contains("first is written") && alone.err.contains("a second event"), "{}", alone.err);
    let mut sending = home.spawn(&["send", "a.b", "--wait"]);
    let mut engine = home.engine();
    assert_eq!(sending.wait(), Some(0), "{}", sending.log());
    assert!(sending.log().contains("delivered to erp"), "{}", sending.log());
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn an_audit_finds_a_segment_that_somebody_changed() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("erp", target.addr(), ""));
    home.spool("a.ndjson", "{\"type\":\"a.b\",\"data\":1}\n");
    home.drain();
    let mut kept = Vec::new();
    for dir in ["spool/claimed", "spool/archive"] {
        let walk = walk(&home.path(dir));
        kept.extend(
            walk.into_iter()
                .filter(|path| path.to_string_lossy().contains("ndjson") || path.to_string_lossy().contains("a")),
        );
    }
    let segment =
        kept.into_iter().find(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"{\"type\""))).unwrap();
    std::fs::set_permissions(&segment, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&segment, "{\"type\":\"a.b\",\"data\":1}\n{\"type\":").unwrap();
    std::fs::write(&segment, "{\"type\":\"a.b\"}\n").unwrap();
    let said = home.run(&["audit"]).expect(1);
    assert!(said.out.contains("difference"), "{}", said.all());
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(walk(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn init_makes_a_directory_that_works() {
    let home = Home::empty();
    let made = home.run(&["init", "hooks", "--json"]).expect(0).json();
    assert_eq!(made["config"], "hooks/config.toml");
    home.run(&["check", "hooks/config.toml"]).expect(0);
    let again = home.run(&["init", "hooks"]).expect(1);
    assert!(again.err.contains("nothing was changed"), "{}", again.err);
    home.run(&["init"]).expect(0);
    let sent = home.run(&["send", "a.b", "--fsync", "--json"]).expect(0).json();
    assert!(home.path(sent["file"].as_str().unwrap()).is_file(), "{sent}");
}

#[test]
fn send_says_what_is_wrong() {
    let home = Home::empty();
    assert!(home.run(&["send", "a.b"]).expect(78).err.contains("spoolhook init"));
    let home = Home::new("");
    assert!(home.run(&["send", "a.b"]).expect(74).err.contains("this is no spool"));
    std::fs::create_dir_all(home.path("spool/in")).unwrap();
    std::fs::create_dir_all(home.path("spool/tmp")).unwrap();
    home.run(&["send", "not a type"]).expect(2);
    home.run(&["send", "a.b", "--id", "no spaces"]).expect(2);
    assert!(home.run(&["send", "a.b", "-d", "{nonsense"]).expect(65).err.contains("data is not JSON"));
    home.run(&["send", "a.b", "-d", "@missing.json"]).expect(74);
    home.run_with(&["send", "a.b", "-d", "-"], b"{\n \"a\": 1\n}\n").expect(0);
    home.run(&["send", "a.b", "--wait=100ms"]).expect(69);
    assert_eq!(std::fs::read_dir(home.path("spool/in")).unwrap().count(), 2, "what was accepted, and nothing else");
}

#[test]
fn send_waits_for_a_no() {
    let target = receiver(&[400]);
    let home = Home::new(&subscription("erp", target.addr(), "retry = \"none\""));
    let _engine = home.engine();
    let said = home.run(&["send", "a.b", "--wait"]).expect(1);
    assert!(said.out.contains("failed to erp") && said.out.contains("spoolhook deliveries show"), "{}", said.all());
}

#[test]
fn a_receiver_misbehaves_as_told() {
    let home = Home::empty();
    for (flags, answer) in [
        (&["--status", "418"][..], "418"),
        (&["--fail-rate", "1"], "500"),
        (&["--delay", "50ms"], "200"),
        (&["--hang"], "timeout_response"),
    ] {
        let mut listen = home.spawn(&[&["listen", "0"], flags].concat());
        until("listen says where", || listen.log().contains("listening on http://"));
        let address = listen.log().split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let more = "retry = \"none\"\ntimeout = \"1s\"";
        let bench = Home::new(&subscription("a", address.parse().unwrap(), more));
        let _engine = bench.engine();
        bench.run(&["send", "a.b", "--wait"]);
        let found = &bench.deliveries(&[])[0];
        let (code, outcome) = (found["status_code"].to_string(), found["outcome"].as_str().unwrap().to_owned());
        assert!([code.as_str(), &outcome].contains(&answer), "{flags:?}: {found}");
        assert_eq!(listen.stop(), Some(0));
    }
    home.run(&["listen", "nine"]).expect(2);
    home.run(&["listen", "--fail-rate", "2"]).expect(2);
    home.run(&["listen", "--secret-file", "missing"]).expect(74);
    let taken = receiver(&[200]);
    assert!(home.run(&["listen", &taken.addr().to_string()]).expect(74).err.contains("cannot listen on"));
}

#[test]
fn signatures_are_made_and_checked_without_an_engine() {
    let home = Home::empty();
    home.write("key", SECRET);
    home.write("other", "whsec_b3RoZXItc2VjcmV0LW5vdC1mb3ItdXNlLWVpdGhlcg==");
    let signed = home.run_with(&["sign", "--secret-file", "key", "--id", "msg_1"], b"{\"a\":1}").expect(0).out;
    assert!(signed.contains("webhook-signature: v1,"), "{signed}");
    let verify = |key: &str, body: &str| home.run(&["verify", "--secret-file", key, "-H", &signed, "-d", body]);
    assert!(verify("key", "{\"a\":1}").expect(0).out.contains("signature ok"));
    assert!(verify("key", "{\"a\":2}").expect(1).out.contains("does not fit"));
    assert!(verify("other", "{\"a\":1}").expect(1).out.contains("does not fit"));
    let object =
        home.run_with(&["sign", "--secret-file", "key", "--dialect", "umbra", "--json"], b"{}").expect(0).json();
    let header =
        format!("X-Webhook-Signature: {}", object.as_object().unwrap().values().next().unwrap().as_str().unwrap());
    let umbra = ["verify", "--dialect", "umbra", "--secret-file", "key", "-H", &header, "-d", "{}", "--json"];
    assert_eq!(home.run(&umbra).expect(0).json()["valid"], true);
    home.run(&["sign", "--secret-file", "key", "--dialect", "nope", "-d", "{}"]).expect(2);
    home.run(&["sign", "--secret-file", "missing", "-d", "{}"]).expect(74);
}

#[test]
fn what_needs_nothing_works_anywhere() {
    let home = Home::empty();
    assert!(home.run(&["version"]).expect(0).out.starts_with("spoolhook 0."));
    assert_eq!(home.run(&["version", "--json"]).expect(0).json()["name"], "spoolhook");
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.run(&["completions", shell]).expect(0).out.contains("quarantine"));
    }
    home.run(&[]).expect(2);
    home.run(&["--help"]).expect(0);
    home.run(&["frobnicate"]).expect(2);
    home.run(&["status", "--json", "--jsonl"]).expect(2);
    for command in ["run", "status", "send", "check"] {
        assert!(home.run(&[command, "--help"]).expect(0).out.contains("Usage:"));
    }
    assert!(home.run(&["run"]).expect(78).err.contains("spoolhook init"));
    assert!(home.run(&["status"]).expect(78).err.contains("no configuration"));
}

#[test]
fn the_demo_ends_by_itself() {
    let home = Home::empty();
    let said = home.run(&["demo", "--exit-after", "2"]).expect(0);
    assert!(said.out.contains("200"), "{}", said.all());
}

#[test]
fn a_second_engine_is_told_so() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), ""));
    let mut engine = home.engine();
    let second = home.run(&["run"]).expect(74);
    assert!(second.err.contains("another spoolhook (pid "), "{}", second.err);
    let elsewhere = home.write("other.toml", "[state]\ndir = \"state2\"\n[admin]\nlisten = \"off\"\n");
    let same_spool = home.run(&["run", "-c", elsewhere.to_str().unwrap()]).expect(74);
    assert!(same_spool.err.contains("spool"), "{}", same_spool.err);
    home.run(&["status"]).expect(0);
    assert_eq!(engine.stop(), Some(0));
    assert!(!home.path("state/spoolhook.sock").exists());
}

#[test]
fn a_socket_path_that_is_too_long_is_said_to_be() {
    let home = Home::empty();
    home.write("config.toml", format!("[admin]\nlisten = \"off\"\nsocket = \"{}.sock\"\n", "s".repeat(110)));
    let said = home.run(&["run"]);
    assert_eq!(said.code, 78);
    assert!(said.err.contains("107 bytes") && said.err.contains("config.toml:3:"), "{}", said.err);
    // The name of a socket that nobody wrote counts as well.
    home.write("config.toml", format!("[admin]\nlisten = \"off\"\n[state]\ndir = \"{}\"\n", "s".repeat(100)));
    assert!(home.run(&["check"]).expect(78).out.contains("107 bytes"));
}
