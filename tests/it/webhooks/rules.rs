//! What is refused, in which words; and what guards against a change that meets another.

use serde_json::{Value, json};

use super::support::{call, delete, get, post, put};
use crate::usage::support::{Home, until};

fn hook(name: &str) -> Value {
    json!({"name": name, "url": "https://a.example/x", "events": ["a.b"]})
}

#[test]
fn what_is_wrong_is_said_member_by_member() {
    let home = Home::new("");
    let _engine = home.engine();
    let wrong = json!({"url": "http://a.example/x", "events": ["a.b", "a..b"], "evnts": 1});
    let refused = post(&home, "/v1/webhooks", &wrong).expect(422);
    assert_eq!((refused.problem(), refused.header("content-type")), ("validation", Some("application/problem+json")));
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["#/events/1", "#/evnts", "#/url"]);
    let fault = |pointer: &str| {
        let errors = refused.json["errors"].as_array().unwrap();
        errors.iter().find(|fault| fault["pointer"] == pointer).unwrap().clone()
    };
    assert_eq!((&fault("#/url")["code"], &fault("#/url")["detail"]), (&json!("E014"), &json!("url must use https")));
    assert_eq!(fault("#/evnts")["help"], "did you mean `events`?");
    assert_eq!(
        (&refused.json["result"], &refused.json["detail"]),
        (&json!("error"), &json!("3 fields need attention."))
    );

    let malformed = |body: &str| call(&home, "POST", "/v1/webhooks", "", body).expect(400).problem().to_owned();
    assert_eq!([malformed("{"), malformed("[]"), malformed("")], ["malformed"; 3]);
    post(&home, "/v1/webhooks?dryrun=true", &hook("a")).expect(400);
    let large = json!({"url": "https://a.example/", "events": ["a.b"], "where": "x".repeat(70_000)});
    post(&home, "/v1/webhooks", &large).expect(413);
    assert_eq!(post(&home, "/v1/webhooks?dry_run=true", &hook("a")).expect(200).json["webhook"], Value::Null);
    assert_eq!(get(&home, "/v1/webhooks").json["webhooks"], json!([]), "nothing of that was made");
}

#[test]
fn limits_and_names_are_kept() {
    let home = Home::new("[[tenant]]\nid = \"acme\"\nmax_subscriptions = 1\n");
    let _engine = home.engine();
    let with_tenant =
        |name: &str| json!({"name": name, "tenant": "acme", "url": "https://a.example/", "events": ["a.b"]});
    post(&home, "/v1/webhooks", &with_tenant("one")).expect(201);
    let full = post(&home, "/v1/webhooks", &with_tenant("two")).expect(409);
    assert_eq!(full.problem(), "limit-reached");
    assert!(full.json["detail"].as_str().unwrap().contains("the one webhook that it may have"), "{full:?}");
    post(&home, "/v1/webhooks", &hook("a")).expect(201);
    assert_eq!(post(&home, "/v1/webhooks", &hook("a")).expect(409).problem(), "conflict");
    let renamed = put(&home, "/v1/webhooks/a", &json!({"name": "b"})).expect(422);
    assert_eq!(renamed.pointers(), ["#/name"]);
}

#[test]
fn what_a_file_defines_is_changed_there() {
    let home = Home::new(
        "[[subscription]]\nname = \"erp\"\nurl = \"https://e.example/\"\nevents = [\"a.b\"]\ndialect = \"cloudevents\"\n",
    );
    let _engine = home.engine();
    let line = std::fs::read_to_string(home.path("config.toml")).unwrap();
    let line = line.lines().position(|line| line == "[[subscription]]").unwrap() + 1;
    let rotate = || post(&home, "/v1/webhooks/erp/secret/rotate", &json!({}));
    for refused in [put(&home, "/v1/webhooks/erp", &json!({})), delete(&home, "/v1/webhooks/erp"), rotate()] {
        let refused = refused.expect(409);
        assert_eq!((refused.problem(), &refused.json["line"]), ("file-managed", &json!(line)));
        assert!(refused.json["file"].as_str().unwrap().ends_with("config.toml"), "{refused:?}");
        assert!(refused.json["detail"].as_str().unwrap().contains("Edit that file"), "{refused:?}");
    }
    let shown = get(&home, "/v1/webhooks/erp").expect(200).json["webhook"].clone();
    assert_eq!((&shown["source"], shown["source_ref"].is_string()), (&json!("file"), true));
    call(&home, "POST", "/v1/webhooks/erp/pause", "", "").expect(200);
    assert_eq!(post(&home, "/v1/webhooks", &hook("erp")).expect(409).problem(), "conflict");
}

#[test]
fn a_change_that_met_another_is_refused() {
    let home = Home::new("");
    let _engine = home.engine();
    let made = post(&home, "/v1/webhooks", &hook("a")).expect(201);
    let first = made.header("etag").unwrap().to_owned();
    assert_eq!(get(&home, "/v1/webhooks/a").header("etag"), Some(first.as_str()));
    let guarded = |method: &str, tag: &str, body: &str| {
        call(&home, method, "/v1/webhooks/a", &format!("If-Match: {tag}\r\n"), body)
    };
    let second = guarded("PUT", &first, r#"{"timeout":"2s"}"#).expect(200).header("etag").unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(guarded("PUT", &first, r#"{"timeout":"3s"}"#).expect(412).problem(), "precondition-failed");
    guarded("DELETE", &first, "").expect(412);
    assert_eq!(get(&home, "/v1/webhooks/a").json["webhook"]["timeout"], "2s");
    guarded("DELETE", &second, "").expect(200);
}

#[test]
fn a_repeated_request_makes_one_webhook() {
    let home = Home::new("");
    let mut engine = home.engine();
    let body = r#"{"url":"https://a.example/x","events":["a.b"]}"#;
    let repeat = |body: &str| call(&home, "POST", "/v1/webhooks", "Idempotency-Key: k1\r\n", body);
    let first = repeat(body).expect(201).json;
    assert_eq!(repeat(body).expect(201).json["secret"], first["secret"]);
    engine.kill();
    let _again = home.engine();
    let third = repeat(body).expect(201).json;
    assert_eq!((&third["id"], &third["secret"]), (&first["id"], &first["secret"]), "a crash forgets nothing");
    assert_eq!(get(&home, "/v1/webhooks").json["webhooks"].as_array().unwrap().len(), 1);
    repeat(r#"{"url":"https://b.example/x","events":["a.b"]}"#).expect(422);
    post(&home, "/v1/webhooks/1/secret/rotate", &json!({})).expect(200);
    assert_eq!(repeat(body).expect(201).json["secret"], Value::Null, "a newer secret is told to nobody else");
    delete(&home, "/v1/webhooks/1").expect(200);
    assert_eq!(repeat(body).expect(409).problem(), "conflict");
}

#[test]
fn an_address_that_nothing_is_sent_to_is_warned_of_and_the_way_out_is_named() {
    let home = Home::new("");
    let _engine = home.engine();
    let way_out = "[network] allow = [\"127.0.0.0/8\"] in config.toml";
    let request = json!({"name": "a", "url": "http://127.0.0.1:1/x", "events": ["a.b"], "dialect": "cloudevents", "retry": "none"});
    let made = post(&home, "/v1/webhooks", &request).expect(201).json;
    let warned = &made["warnings"][0];
    assert_eq!((&warned["pointer"], &warned["code"]), (&json!("#/url"), &json!("W004")));
    // (A port below 1024 is the first thing that is said of it.)
    assert!(warned["detail"].as_str().unwrap().contains("[network] allow = "), "{warned}");
    let moved = put(&home, "/v1/webhooks/a", &json!({"url": "http://localhost:65000/x"})).expect(200).json;
    assert!(moved["warnings"][0]["detail"].as_str().unwrap().contains(way_out), "{moved}");
    let tested = post(&home, "/v1/webhooks/a/test", &json!({})).expect(202).json;
    assert_eq!(tested["outcome"], "blocked_address");
    assert!(tested["error"].as_str().unwrap().contains(way_out), "{tested}");
    let fine = put(&home, "/v1/webhooks/a", &json!({"url": "http://a.example/x"})).expect(200).json;
    assert_eq!(fine["warnings"], Value::Null);
}

#[test]
fn what_is_wrong_is_said_of_members_and_not_of_a_file() {
    let home = Home::new("");
    let _engine = home.engine();
    let wrong = json!({"url": "http://a.example/x", "events": [], "is_active": "yes", "timeout": 5, "order_by": "id",
                       "oauth2": {"client_id": "c", "token_url": "https://u:p@id.example/"}, "rate_limit": "fast"});
    let refused = post(&home, "/v1/webhooks", &wrong).expect(422);
    let errors = refused.json["errors"].as_array().unwrap();
    let said = |pointer: &str| {
        let fault = errors.iter().find(|fault| fault["pointer"] == pointer).unwrap_or_else(|| panic!("{refused:?}"));
        (fault["detail"].as_str().unwrap().to_owned(), fault["help"].as_str().unwrap_or_default().to_owned())
    };
    let http = said("#/url").1;
    assert!(http.contains("set the member \"allow_http\": true beside \"url\""), "{http}");
    assert!(http.contains("a [[tenant]] with id = \"default\" and `require_https = false` in config.toml"), "{http}");
    assert_eq!(said("#/events").1, "write \"events\": [\"**\"] for every event");
    assert_eq!(said("#/is_active"), ("`is_active` must be true or false".into(), "write \"is_active\": true".into()));
    assert_eq!(said("#/timeout").1, "write \"timeout\": \"5s\" (units: ms, s, m, h, d)");
    assert!(said("#/order_by").1.starts_with("write \"order_by\": \"key\", or a pointer"));
    assert_eq!(said("#/oauth2/client_secret").0, "oauth2 is missing `client_secret`");
    for fault in errors {
        let text = fault.to_string();
        assert!(
            !text.contains("[[subscription]]") && !text.contains("webhooks.toml") && !text.contains(" = \\\"\""),
            "{text}"
        );
    }
}

#[test]
fn a_webhook_that_is_switched_off_is_the_reason_that_it_takes_nothing() {
    let home = Home::new("");
    let _engine = home.engine();
    post(&home, "/v1/webhooks", &hook("a")).expect(201);
    put(&home, "/v1/webhooks/a", &json!({"is_active": false})).expect(200);
    home.run(&["send", "a.b", "--id", "e-1"]).expect(0);
    let off = "the subscription is switched off (`is_active` is false): events pass it by";
    let judged = post(&home, "/v1/events/match", &json!({"type": "a.b", "data": 1})).expect(200).json;
    let row = &judged["subscriptions"][0];
    assert_eq!((&row["matched"], &row["reason"]), (&json!(false), &json!(off)));
    until("the event is in the log", || home.run(&["events", "show", "e-1"]).code == 0);
    let reason = || get(&home, "/v1/events/e-1").expect(200).json["subscriptions"][0]["reason"].clone();
    assert_eq!(reason(), off);
    put(&home, "/v1/webhooks/a", &json!({"is_active": true})).expect(200);
    assert_eq!(reason(), "it came while the subscription was switched off");
}
