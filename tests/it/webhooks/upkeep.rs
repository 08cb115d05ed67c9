//! What lasts: crashes, reloads, damage, rotation; and a test that leaves no trace.

use serde_json::{Value, json};

use super::support::{NEARBY, call, delete, get, nearby, post, put};
use crate::usage::support::{Home, subscription, until};

#[test]
fn what_was_answered_survives_a_kill_at_that_moment() {
    let home = Home::new("");
    let mut secrets = Vec::new();
    for number in 1..=5u32 {
        let mut engine = home.engine();
        let request = json!({"url": format!("https://h{number}.example/"), "events": ["a.b"]});
        let made = post(&home, "/v1/webhooks", &request).expect(201).json;
        engine.kill();
        assert_eq!(made["id"], number);
        secrets.push(made["webhook"]["secret_fingerprint"].clone());
    }
    let mut engine = home.engine();
    put(&home, "/v1/webhooks/3", &json!({"timeout": "7s"})).expect(200);
    engine.kill();
    let _engine = home.engine();
    let listed = get(&home, "/v1/webhooks").json["webhooks"].as_array().unwrap().clone();
    let kept: Vec<Value> = listed.iter().map(|hook| hook["secret_fingerprint"].clone()).collect();
    assert_eq!((kept, &listed[2]["timeout"]), (secrets, &json!("7s")));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&home.path("state/webhooks.toml").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_test_is_sent_at_once_and_stands_in_no_book() {
    let (home, _engine, target) = nearby("");
    let url = format!("http://{}/t", target.addr());
    post(&home, "/v1/webhooks", &json!({"name": "a", "url": url, "events": ["a.b"]})).expect(201);
    post(&home, "/v1/webhooks/a/pause", &json!({})).expect(200);
    let tested = post(&home, "/v1/webhooks/a/test", &json!({"type": "x.y", "data": {"n": 1.50}})).expect(202).json;
    assert_eq!(
        (&tested["result"], &tested["outcome"], &tested["status_code"]),
        (&json!("success"), &json!("success"), &json!(200))
    );
    let received = target.received().remove(0);
    let body = String::from_utf8(received.body).unwrap();
    assert!(body.contains("\"event\":\"x.y\"") && body.contains("\"data\":{\"n\":1.5}"), "{body}");
    assert!(body.contains(tested["delivery_id"].as_str().unwrap()), "{body}");
    assert!(received.headers.iter().any(|(name, _)| name == "x-webhook-signature"));
    assert_eq!(post(&home, "/v1/webhooks/a/test", &Value::Null).expect(422).problem(), "validation");
    let counters = home.sub("a")["counters"].clone();
    assert_eq!((&counters["success_count"], &counters["pending"]), (&json!(0), &json!(0)));
    assert_eq!(home.books("a")["matched"], 0);

    put(&home, "/v1/webhooks/a", &json!({"url": "http://127.0.0.1:1/"})).expect(200);
    let refused = post(&home, "/v1/webhooks/a/test", &json!({})).expect(202).json;
    assert_eq!((&refused["result"], &refused["status_code"]), (&json!("error"), &Value::Null));
    assert!(refused["error"].is_string(), "{refused}");
}

#[test]
fn both_secrets_sign_until_the_overlap_ends_by_itself() {
    let (home, mut engine, target) = nearby("");
    let url = format!("http://{}/t", target.addr());
    let request = json!({"name": "a", "url": url, "events": ["a.b"], "dialect": "standard"});
    let made = post(&home, "/v1/webhooks", &request).expect(201).json;
    let signatures = || {
        post(&home, "/v1/webhooks/a/test", &json!({})).expect(202);
        let headers = target.received().pop().unwrap().headers;
        let signature = headers.into_iter().find(|(name, _)| name == "webhook-signature").unwrap().1;
        signature.split(' ').count()
    };
    assert_eq!(signatures(), 1);
    let rotated = post(&home, "/v1/webhooks/a/secret/rotate", &json!({"overlap": "1h"})).expect(200).json;
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!((signatures(), rotated["overlap_until"].is_string()), (2, true));
    engine.kill();
    let _engine = home.engine();
    assert_eq!(signatures(), 2, "a restart does not end it");
    let keys = || home.sub("a")["secret_fingerprints"].as_array().unwrap().len();
    assert_eq!(keys(), 2);
    put(&home, "/v1/webhooks/a", &json!({"secret": made["secret"]})).expect(200);
    assert_eq!(keys(), 1, "a secret that is given ends an overlap");
    post(&home, "/v1/webhooks/a/secret/rotate", &json!({"overlap": "1s"})).expect(200);
    until("the old secret is gone", || keys() == 1);
    assert!(
        !std::fs::read_to_string(home.path("state/webhooks.toml")).unwrap().contains(made["secret"].as_str().unwrap())
    );
    assert_eq!(
        post(&home, "/v1/webhooks/a/secret/rotate", &json!({"overlap": "soon"})).expect(422).pointers(),
        ["#/overlap"]
    );
}

#[test]
fn a_webhook_that_is_no_longer_allowed_waits_and_the_others_go_on() {
    let dialect = "[dialect.mine]\nbody = '{\"mine\":{{data}}}'\n";
    let (home, _engine, target) = nearby(dialect);
    let url = format!("http://{}/t", target.addr());
    for (name, dialect) in [("held", "mine"), ("other", "cloudevents")] {
        let request = json!({"name": name, "url": url, "events": ["a.b"], "dialect": dialect});
        post(&home, "/v1/webhooks", &request).expect(201);
    }
    home.configure(NEARBY);
    let said = home.run(&["reload"]).expect(0).out;
    assert!(said.contains("out of force") && said.contains("unknown dialect"), "{said}");
    let held = home.sub("held");
    assert_eq!((&held["state"], &held["is_active"]), (&json!("disabled"), &json!(false)));
    assert!(held["state_reason"].as_str().unwrap().contains("unknown dialect \"mine\""), "{held}");
    assert_eq!(post(&home, "/v1/webhooks/held/test", &json!({})).expect(409).problem(), "conflict");
    home.run(&["send", "a.b", "--wait"]).expect(0);
    assert_eq!(target.count(), 1);
    home.configure(&format!("{NEARBY}{dialect}"));
    home.run(&["reload"]).expect(0);
    assert_eq!(home.sub("held")["state"], "active");
    home.run(&["send", "a.b", "--wait"]).expect(0);
    until("both have it", || target.count() == 3);

    // A file takes the name: it wins, and the webhook is back when the file lets go.
    let file = subscription("other", target.addr(), "");
    home.configure(&format!("{NEARBY}{dialect}{file}"));
    home.run(&["reload"]).expect(0);
    assert_eq!(home.sub("other")["source"], "file");
    home.configure(&format!("{NEARBY}{dialect}"));
    home.run(&["reload"]).expect(0);
    assert_eq!(home.sub("other")["source"], "api");
}

#[test]
fn a_damaged_file_is_refused_and_says_what_to_do() {
    let home = Home::new("");
    let mut engine = home.engine();
    post(&home, "/v1/webhooks", &json!({"url": "https://a.example/", "events": ["a.b"]})).expect(201);
    let file = home.path("state/webhooks.toml");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    let refused = home.run(&["reload"]).expect(78);
    assert!(refused.all().contains("webhooks.toml:") && refused.all().contains("put back a copy"), "{}", refused.all());
    assert_eq!(get(&home, "/v1/webhooks").json["webhooks"].as_array().unwrap().len(), 1, "the old ones stay in force");
    assert_eq!(engine.stop(), Some(0));
    let refused = home.run(&["run", "--until-idle"]).expect(78);
    assert!(refused.err.contains("webhooks.toml:") && !refused.all().contains("whsec_"), "{}", refused.all());
    std::fs::write(&file, whole).unwrap();
    let _engine = home.engine();
    assert_eq!(get(&home, "/v1/webhooks").json["webhooks"].as_array().unwrap().len(), 1);
}

#[test]
fn the_log_of_changes_names_a_webhook_and_how_it_was_without_secrets() {
    let home = Home::new("");
    let _engine = home.engine();
    let url = "https://a.example/in/hidden-1";
    let request = json!({"name": "a", "url": url, "events": ["a.b"], "headers": {"X-Key": "hidden-2"}});
    let key = "Idempotency-Key: once\r\n";
    let made = call(&home, "POST", "/v1/webhooks", key, &request.to_string()).expect(201).json;
    call(&home, "POST", "/v1/webhooks", key, &request.to_string()).expect(201);
    call(&home, "PUT", "/v1/webhooks/a?dry_run=true", "", "{\"timeout\": \"3s\"}").expect(200);
    put(&home, "/v1/webhooks/a", &json!({"timeout": "7s", "url": "https://a.example/in/hidden-3"})).expect(200);
    let rotated = post(&home, "/v1/webhooks/a/secret/rotate", &json!({})).expect(200).json;
    post(&home, "/v1/webhooks/a/pause", &json!({})).expect(200);
    delete(&home, "/v1/webhooks/a").expect(200);
    let log = get(&home, "/v1/changes").expect(200).json;
    let changes = log["data"].as_array().unwrap();
    let told: Vec<[&Value; 2]> = changes.iter().map(|change| [&change["method"], &change["thing"]]).collect();
    let thing = json!("subscription default/a");
    let methods = ["DELETE", "POST", "POST", "PUT", "POST"].map(Value::from);
    assert_eq!(told, methods.iter().map(|method| [method, &thing]).collect::<Vec<_>>(), "{log}");
    assert!(changes.iter().all(|change| change["tenant"] == "default"), "{log}");
    let (created, updated) = (&changes[4], &changes[3]);
    assert_eq!((&created["before"], &created["after"]["events"]), (&Value::Null, &json!(["a.b"])));
    assert_eq!((&updated["before"]["timeout"], &updated["after"]["timeout"]), (&json!("15s"), &json!("7s")));
    assert_ne!(updated["before"]["url_fingerprint"], updated["after"]["url_fingerprint"]);
    assert_ne!(changes[2]["before"]["secret_fingerprint"], changes[2]["after"]["secret_fingerprint"]);
    assert_eq!((&changes[1]["before"]["state"], &changes[1]["after"]["state"]), (&json!("active"), &json!("paused")));
    assert_eq!((&changes[0]["before"]["name"], &changes[0]["after"]), (&json!("a"), &Value::Null));
    let kept = std::fs::read_to_string(home.path("state/changes.ndjson")).unwrap();
    for secret in [&made["secret"], &rotated["secret"]] {
        assert!(!kept.contains(secret.as_str().unwrap()), "{kept}");
    }
    assert!(!kept.contains("hidden"), "{kept}");
}
