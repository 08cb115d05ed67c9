//! The command line against an engine elsewhere, and the tokens it makes.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::client::ask;
use super::world::address_of;
use crate::usage::support::{Home, Process, receiver, subscription, until};

fn home(more: &str) -> Home {
    let home = Home::empty();
    home.write("config.toml", format!("[admin]\nlisten = \"127.0.0.1:0\"\n{more}"));
    home
}

fn started(home: &Home) -> (Process, String) {
    let engine = home.engine();
    until("it says where it listens", || engine.log().contains("\"msg\":\"running\""));
    let url = format!("http://{}", address_of(&engine));
    (engine, url)
}

#[test]
fn commands_work_against_an_engine_elsewhere() {
    let target = receiver(&[200]);
    let home = home(&subscription("erp", target.addr(), ""));
    let (mut engine, url) = started(&home);
    let made = home.run(&["token", "create", "ops", "--scope", "admin"]).expect(0);
    assert!(
        made.out.starts_with("sph_") && made.out.trim().len() == 47 && made.out.lines().count() == 1,
        "{}",
        made.out
    );
    assert!(made.err.contains("shown this once") && !made.err.contains(made.out.trim()), "{}", made.err);
    home.write("ops", &made.out);
    let token = home.run(&["token", "create", "monitor", "--json"]).expect(0).json();
    assert_eq!((&token["scope"], &token["tenant"]), (&json!("read"), &json!(null)));
    home.write("monitor", token["token"].as_str().unwrap());

    let there = ["--url", &url, "--token-file", "ops"];
    let run = |args: &[&str]| home.run(&[&there, args].concat());
    // Over the API, without a look at the configuration here.
    home.write("nothing.toml", "");
    let sent = run(&["-c", "nothing.toml", "send", "a.b", "--id", "one", "--json"]).expect(0).json();
    assert_eq!((&sent["accepted"], &sent["events"][0]["id"]), (&json!(1), &json!("one")));
    assert!(run(&["send", "a.b", "--id", "two", "--wait"]).expect(0).out.contains("delivered to erp"));
    assert!(run(&["status"]).expect(0).out.contains("erp"));
    assert_eq!(run(&["deliveries", "list", "--json"]).expect(0).json()["data"].as_array().unwrap().len(), 2);
    run(&["subs", "pause", "erp"]).expect(0);
    assert!(run(&["token", "list"]).expect(0).out.contains("monitor"));
    run(&["audit"]).expect(0);

    let lesser = home.run(&["--url", &url, "--token-file", "monitor", "subs", "resume", "erp"]).expect(77);
    assert!(lesser.err.contains("needs the scope \"admin\""), "{}", lesser.err);
    let nobody = home.run(&["--url", &url, "status"]).expect(77);
    assert!(nobody.err.contains("--token-file") && nobody.err.contains("spoolhook token create"), "{}", nobody.err);
    run(&["token", "revoke", "monitor"]).expect(0);
    home.run(&["--url", &url, "--token-file", "monitor", "status"]).expect(77);
    run(&["token", "revoke", "monitor"]).expect(1);
    home.run(&["--url", &url, "--token-file", "missing", "status"]).expect(74);

    let changes = ask(url[7..].parse().unwrap(), "GET", "/v1/changes", Some(made.out.trim()), "").json();
    let told: Vec<_> = changes["data"].as_array().unwrap().iter().map(|row| (&row["by"], &row["thing"])).collect();
    assert_eq!(told[0], (&json!("ops"), &json!("token monitor")));
    assert_eq!(told[1], (&json!("ops"), &json!("subscription default/erp")));
    assert_eq!(told.last(), Some(&(&json!("socket"), &json!("token ops"))));
    let mut tail = home.spawn(&["tail", "--url", &url, "--token-file", "ops"]);
    until("it follows", || tail.log().contains("following"));
    assert_eq!(engine.stop(), Some(0));
    assert_eq!(tail.wait(), Some(69));
    let gone = home.run(&["--url", &url, "--token-file", "ops", "audit"]).expect(69);
    assert!(gone.err.contains("nobody listens there"), "{}", gone.err);
}

#[test]
fn tokens_and_changes_outlive_a_kill_and_the_file_is_private() {
    let home = home("");
    let (mut engine, _) = started(&home);
    let token = home.run(&["token", "create", "ops", "--scope", "admin", "--tenant", "acme"]).expect(0).out;
    engine.kill();
    let (_engine, url) = started(&home);
    let address = url[7..].parse().unwrap();
    let changes = ask(address, "GET", "/v1/changes", Some(token.trim()), "").json();
    assert_eq!((&changes["data"][0]["thing"], &changes["data"][0]["id"]), (&json!("token ops"), &json!(1)));
    for file in ["state/tokens.json", "state/changes.ndjson"] {
        let (path, secret) = (home.path(file), token.trim());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        assert!(!std::fs::read_to_string(path).unwrap().contains(secret), "{file}");
    }
}

#[test]
fn a_bootstrap_token_is_read_again_on_a_reload() {
    let home = home("token_file = \"boot\"\nhosts = [\"hooks.plant.lan\"]\n");
    let (first, second) = ("a".repeat(40), "b".repeat(40));
    home.write("boot", format!("  {first}\n"));
    let (_engine, url) = started(&home);
    let address = url[7..].parse().unwrap();
    let status = |token: &str| ask(address, "GET", "/v1/status", Some(token), "").status;
    assert_eq!((status(&first), status(&second)), (200, 401));
    home.write("boot", &second);
    home.run(&["reload"]).expect(0);
    assert_eq!((status(&first), status(&second)), (401, 200));
    let by = ask(address, "GET", "/v1/changes", Some(&second), "").json()["data"].clone();
    assert!(by.as_array().unwrap().iter().any(|row| row["thing"] == "configuration"), "{by}");
}

#[test]
fn damaged_tokens_are_never_taken_for_none() {
    let home = home("");
    home.run(&["run", "--until-idle"]).expect(0);
    home.write("state/tokens.json", "{\"version\":1,\"tok");
    let refused = home.run(&["run"]).expect(74);
    assert!(refused.err.contains("tokens.json is damaged") && refused.err.contains("token create"), "{}", refused.err);
}

#[test]
fn the_demo_says_how_to_use_its_api() {
    let home = Home::empty();
    let mut demo = home.spawn(&["demo"]);
    until("the demo delivers", || demo.log().contains("-> ") && demo.log().contains("token in "));
    let log = demo.log();
    let line = log.lines().find_map(|line| line.trim().strip_prefix("spoolhook --url ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    let said = home.run(&["--url", words[0], "--token-file", words[2], "subs", "list"]).expect(0);
    assert!(said.out.contains("everything"), "{}", said.out);
    assert!(!log.contains("sph_"), "{log}");
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn requests_over_tcp_are_logged_with_the_name_of_their_token_and_never_with_it() {
    let home = home("[logging]\naccess = true\n");
    let (engine, url) = started(&home);
    let made = home.run(&["token", "create", "ops", "--scope", "read", "--tenant", "acme"]).expect(0).out;
    let (token, address) = (made.trim(), url[7..].parse().unwrap());
    assert_eq!(ask(address, "GET", "/v1/webhooks/no-such?secret=canary-1", Some(token), "").status, 400);
    assert_eq!(ask(address, "GET", "/v1/webhooks/canary-2", Some(token), "").status, 404);
    assert_eq!(ask(address, "GET", "/v1/status", Some("sph_canary-3"), "").status, 401);
    assert_eq!(ask(address, "GET", "/canary-4", Some(token), "").status, 404);
    assert_eq!(ask(address, "GET", "/livez", None, "").status, 200);
    let lines = || -> Vec<serde_json::Value> {
        let log = engine.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["msg"] == "request").collect()
    };
    until("every request has its line", || lines().len() >= 5);
    let told: Vec<_> = lines().iter().map(|line| json!([line["route"], line["status"], line["token"]])).collect();
    let expected = [
        json!(["/v1/webhooks/{id}", 400, "acme/ops"]),
        json!(["/v1/webhooks/{id}", 404, "acme/ops"]),
        json!(["/v1/status", 401, "none"]),
        json!(["none", 404, "acme/ops"]),
        json!(["/livez", 200, "none"]),
    ];
    assert_eq!(told, expected);
    let first = &lines()[0];
    assert_eq!((&first["method"], &first["level"]), (&json!("GET"), &json!("info")));
    assert!(first["request_id"].is_string() && first["duration_ms"].is_u64(), "{first}");
    assert!(!engine.log().contains(token) && !engine.log().contains("canary"), "{}", engine.log());
}
