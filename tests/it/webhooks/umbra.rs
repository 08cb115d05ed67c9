//! Umbra's document, call by call.

use serde_json::{Value, json};

use super::support::{Reply, call, delete, exchange, get, nearby, post};
use crate::usage::support::{Home, until};

/// What curl sends for a call of the document: only the host is another one.
fn curl(home: &Home, method: &str, path: &str, body: Option<&str>) -> Reply {
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: api.umbraerp.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
         Authorization: Bearer <your_access_token>\r\nConnection: close\r\n"
    );
    if let Some(body) = body {
        request.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());
    exchange(home, request.as_bytes())
}

/// Every member of `printed` is in `answer` as it is printed.
#[track_caller]
fn has(answer: &Value, printed: &Value) {
    for (name, value) in printed.as_object().unwrap() {
        assert_eq!(&answer[name], value, "{name} of {answer}");
    }
}

const CREATE: &str = r#"{
"url": "https://yoursite.com/webhooks/umbra",
"events": ["invoice.paid", "lead.created"]
}"#;
const UPDATE: &str = r#"{
"url": "https://yoursite.com/webhooks/umbra-v2",
"is_active": true
}"#;

#[test]
fn the_five_calls_work_as_printed() {
    let home = Home::new("");
    let _engine = home.engine();
    let created = curl(&home, "POST", "/v1/webhooks", Some(CREATE)).expect(201);
    has(&created.json, &json!({"result": "success", "message": "Webhook created successfully.", "id": 1}));
    assert_eq!(created.json["warnings"], Value::Null, "its own example warns of nothing");
    assert!(created.json["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(created.header("location"), Some("/v1/webhooks/1"));

    let list = curl(&home, "GET", "/v1/webhooks", None).expect(200);
    assert_eq!(list.json["result"], "success");
    let printed = json!({
        "id": 1,
        "url": "https://yoursite.com/webhooks/umbra",
        "events": ["invoice.paid", "lead.created"],
        "is_active": true,
    });
    let webhook = &list.json["webhooks"][0];
    has(webhook, &printed);
    let made = webhook["dateCreated"].as_str().unwrap();
    assert!(spoolhook::model::Timestamp::parse(made).is_some() && made.ends_with('Z'), "{made}");
    let one = curl(&home, "GET", "/v1/webhooks/1", None).expect(200);
    assert_eq!((&one.json["result"], &one.json["webhook"]), (&json!("success"), webhook));
    assert_eq!((&webhook["source"], &webhook["source_ref"]), (&json!("api"), &Value::Null));

    let updated = curl(&home, "PUT", "/v1/webhooks/1", Some(UPDATE)).expect(200);
    has(&updated.json, &json!({"result": "success", "message": "Webhook updated successfully."}));
    let changed = get(&home, "/v1/webhooks/1").json["webhook"].clone();
    let printed = json!({"id": 1, "url": "https://yoursite.com/webhooks/umbra-v2", "is_active": true, "dateCreated": made,
                         "events": ["invoice.paid", "lead.created"]});
    has(&changed, &printed);

    let deleted = curl(&home, "DELETE", "/v1/webhooks/1", None).expect(200);
    has(&deleted.json, &json!({"result": "success", "message": "Webhook deleted successfully."}));
    assert_eq!(curl(&home, "GET", "/v1/webhooks", None).expect(200).json["webhooks"], json!([]));
    curl(&home, "GET", "/v1/webhooks/1", None).expect(404);
    curl(&home, "DELETE", "/v1/webhooks/1", None).expect(404);
}

/// `hmac.new(webhook_secret.encode(), payload, hashlib.sha256).hexdigest()`.
fn hexdigest(secret: &str, payload: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    ring::hmac::sign(&key, payload).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_delivery_is_verified_with_the_secret_of_the_answer() {
    let (home, _engine, target) = nearby("");
    let url = format!("http://{}/webhooks/umbra", target.addr());
    let made = post(&home, "/v1/webhooks", &json!({"url": url, "events": ["invoice.*"]})).expect(201).json;
    let secret = made["secret"].as_str().unwrap().to_owned();
    home.run(&["send", "invoice.updated", "-d", "{\"total\": 1.10}", "--wait"]).expect(0);
    let received = target.received().remove(0);
    let header = |name: &str| received.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!(header("x-webhook-signature"), Some(hexdigest(&secret, &received.body)));
    assert_eq!(header("x-webhook-event").as_deref(), Some("invoice.updated"));
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["data", "deliveryId", "event", "timestamp"]);
    assert_eq!(header("x-webhook-delivery-id").as_deref(), body["deliveryId"].as_str());

    // Switched off, nothing queues; switched on again, what comes next is sent. Deleted, nothing is.
    let path = format!("/v1/webhooks/{}", made["id"]);
    call(&home, "PUT", &path, "Content-Type: text/plain\r\n", r#"{"is_active":false}"#).expect(200);
    home.run(&["send", "invoice.missed"]).expect(0);
    until("it is read", || home.run(&["events", "list", "--json"]).out.contains("invoice.missed"));
    call(&home, "PUT", &path, "", r#"{"is_active":true}"#).expect(200);
    home.run(&["send", "invoice.sent", "--wait"]).expect(0);
    delete(&home, &path).expect(200);
    home.run(&["send", "invoice.late"]).expect(0);
    until("it is read", || home.run(&["events", "list", "--json"]).out.contains("invoice.late"));
    assert_eq!(target.count(), 2);
}
