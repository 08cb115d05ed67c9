//! The door over a real TCP socket, in front of a fake engine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::admin::api::NewToken;
use crate::admin::caller::{Caller, Scope};
use crate::admin::fake::{FakeEngine, NOON};
use crate::admin::{Admin, ControlError, Limits, Listen, LiveHub, PageRequest, start};
use crate::env::{ManualClock, OsFiles};

const BOOTSTRAP: &str = "a-short-one";

struct Bench {
    admin: Admin,
    door: Arc<Door>,
    dir: tempfile::TempDir,
}

struct Reply {
    status: u16,
    head: String,
    body: Value,
}

fn open(dir: &Path, bootstrap: Option<&str>) -> Arc<Door> {
    let settings = DoorSettings {
        bootstrap: bootstrap.map(Secret::new),
        hosts: vec!["hooks.plant.lan".into()],
        log_access: false,
    };
    Arc::new(Door::open(Arc::new(OsFiles), dir, Arc::new(ManualClock::at(NOON)), settings).unwrap())
}

fn bench(bootstrap: Option<&str>) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let door = open(dir.path(), bootstrap);
    let listen = Listen { socket: None, tcp: Some("127.0.0.1:0".parse().unwrap()), limits: Limits::default() };
    let admin = start(&listen, Arc::new(FakeEngine::default()), LiveHub::new(4), door.clone()).unwrap();
    Bench { admin, door, dir }
}

impl Bench {
    /// One exchange with the headers given, `Host: localhost` unless they say otherwise.
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.admin.tcp_address().unwrap()).unwrap();
        let mut head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        write!(stream, "{head}\r\n{body}").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Reply { status: head[9..12].parse().unwrap(), head: head.to_lowercase(), body }
    }

    fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, &[("Authorization", &format!("Bearer {token}"))], "")
    }

    fn token(&self, name: &str, scope: Scope, tenant: Option<&str>) -> String {
        let new = NewToken { name: name.into(), scope, tenant: tenant.map(str::to_owned) };
        self.door.tokens.create(&Caller::socket(), new).unwrap().1.expose().to_owned()
    }
}

#[test]
fn without_a_token_the_answer_says_how_to_get_one() {
    let bench = bench(None);
    let reply = bench.call("POST", "/v1/webhooks/erp/pause", &[], "");
    assert_eq!(reply.status, 401);
    assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
    assert!(reply.body["detail"].as_str().unwrap().contains("spoolhook token create"), "{}", reply.body);
    bench.token("a", Scope::Read, None);
    assert_eq!(bench.call("GET", "/v1/status", &[], "").body["detail"], "give a token: Authorization: Bearer TOKEN");
    assert!(bench.get("/v1/status", "sph_wrong").body["detail"].as_str().unwrap().contains("not known"));
    assert_eq!(bench.call("GET", "/v1/status", &[("Authorization", "Basic YTpi")], "").status, 401);
}

#[test]
fn a_token_opens_what_its_scope_says_until_it_is_revoked() {
    let bench = bench(Some(BOOTSTRAP));
    let read = bench.token("monitor", Scope::Read, None);
    assert_eq!(bench.get("/v1/status", &read).status, 200);
    assert_eq!(bench.call("GET", "/v1/status", &[("authorization", &format!("bearer  {read}"))], "").status, 200);
    let refused = bench.get("/v1/tokens", &read);
    assert!(refused.status == 403 && refused.body["detail"].as_str().unwrap().contains("monitor"), "{}", refused.body);
    assert_eq!(bench.get("/v1/tokens", BOOTSTRAP).body["data"][0]["name"], "monitor");
    let auth = format!("Bearer {BOOTSTRAP}");
    let gone = bench.call("DELETE", "/v1/tokens/monitor", &[("Authorization", &auth)], "");
    assert_eq!((gone.status, gone.body.get("token")), (200, None));
    assert_eq!(bench.get("/v1/status", &read).status, 401);
}

#[test]
fn only_hashes_are_kept_and_they_outlive_a_start() {
    let bench = bench(None);
    let token = bench.token("monitor", Scope::Replay, Some("acme"));
    let kept = std::fs::read_to_string(bench.dir.path().join("tokens.json")).unwrap();
    assert!(!kept.contains(&token[4..]) && kept.contains("monitor"), "{kept}");
    let again = open(bench.dir.path(), None);
    let known = again.tokens.find(&token).unwrap();
    assert_eq!(known.caller, Caller { name: "monitor".into(), scope: Scope::Replay, tenant: Some("acme".into()) });
    assert!(again.tokens.find(&token[1..]).is_none());
    again.set(DoorSettings { bootstrap: Some(Secret::new(" other\n")), hosts: Vec::new(), log_access: false });
    assert_eq!(again.tokens.find("other").unwrap().caller.name, "token_file");
}

#[test]
fn a_tenants_administrator_stays_with_its_tenant() {
    let bench = bench(None);
    let tokens = &bench.door.tokens;
    bench.token("ops", Scope::Admin, None);
    bench.token("same", Scope::Read, Some("other"));
    let acme = Caller { name: "a".into(), scope: Scope::Admin, tenant: Some("acme".into()) };
    let new = |name: &str, scope, tenant: Option<&str>| NewToken {
        name: name.into(),
        scope,
        tenant: tenant.map(str::to_owned),
    };
    let (made, _) = tokens.create(&acme, new("same", Scope::Admin, None)).unwrap();
    assert_eq!(made.tenant.as_deref(), Some("acme"));
    let refused = tokens.create(&acme, new("b", Scope::Read, Some("other")));
    assert!(matches!(refused, Err(ControlError::Forbidden(text)) if !text.contains("other")));
    let lesser = Caller { scope: Scope::Replay, ..acme.clone() };
    assert!(matches!(tokens.create(&lesser, new("c", Scope::Admin, None)), Err(ControlError::Forbidden(_))));
    assert!(matches!(tokens.create(&acme, new("same", Scope::Read, None)), Err(ControlError::Conflict(_))));
    for name in ["", "a b", "socket", "token_file", "tok_1"] {
        assert!(matches!(tokens.create(&acme, new(name, Scope::Read, None)), Err(ControlError::Invalid(_))), "{name}");
    }
    assert_eq!(tokens.list(&acme, &PageRequest::default()).unwrap().data, std::slice::from_ref(&made));
    assert!(matches!(tokens.revoke(&acme, "ops"), Err(ControlError::NotFound(_))));
    assert!(matches!(tokens.revoke(&Caller::socket(), "same"), Err(ControlError::Ambiguous(_))));
    let page = tokens.list(&Caller::socket(), &PageRequest { limit: 2, cursor: None }).unwrap();
    assert_eq!((page.data.len(), page.next_cursor.as_deref()), (2, Some("2")));
    assert_eq!(tokens.revoke(&acme, "same").unwrap(), made);
}

#[test]
fn names_and_pages_of_others_are_kept_out() {
    let bench = bench(Some(BOOTSTRAP));
    let auth = format!("Bearer {BOOTSTRAP}");
    let call = |method: &str, name: &str, value: &str| {
        bench.call(method, "/v1/webhooks/erp/pause", &[("Authorization", &auth), (name, value)], "").status
    };
    assert_eq!(call("POST", "Host", "127.0.0.1:7380"), 200);
    assert_eq!(call("POST", "Host", "hooks.plant.lan"), 200);
    assert_eq!(call("POST", "Host", "rebound.example"), 403);
    assert_eq!(call("POST", "Origin", "http://localhost"), 200);
    assert_eq!(call("POST", "Origin", "https://evil.example"), 403);
    assert_eq!(call("POST", "Sec-Fetch-Site", "cross-site"), 403);
    assert_eq!(bench.call("GET", "/livez", &[("Host", "10.0.0.1")], "").status, 200, "a prober knows an address");
    let reads = bench.call("GET", "/v1/status", &[("Authorization", &auth), ("Sec-Fetch-Site", "cross-site")], "");
    assert_eq!(reads.status, 200);
}

#[test]
fn wrong_tokens_are_slowed_and_those_of_ours_are_not_kept_out() {
    let bench = bench(Some(BOOTSTRAP));
    let ours = bench.token("monitor", Scope::Read, None);
    let answers: Vec<u16> = (0..25).map(|number| bench.get("/v1/status", &format!("guess{number}")).status).collect();
    assert_eq!((answers[0], answers[19], answers[20], answers[24]), (401, 401, 429, 429));
    let slowed = bench.get("/v1/status", BOOTSTRAP);
    assert!(slowed.status == 429 && slowed.head.contains("retry-after: 4"), "{}", slowed.head);
    assert_eq!(bench.get("/v1/status", &ours).status, 200);
    assert_eq!(bench.call("GET", "/livez", &[], "").status, 200);
}

#[test]
fn where_no_token_can_be_guessed_wrong_ones_are_just_wrong() {
    let bench = bench(Some("0123456789abcdef0123456789abcdef"));
    let answers: Vec<u16> = (0..25).map(|number| bench.get("/v1/status", &format!("guess{number}")).status).collect();
    assert_eq!(answers, [401; 25]);
}

#[test]
fn answers_carry_the_requests_number() {
    let bench = bench(Some(BOOTSTRAP));
    let auth = format!("Bearer {BOOTSTRAP}");
    let own = bench.call("GET", "/v1/nothing", &[("Authorization", &auth), ("X-Request-Id", "job-7")], "");
    assert!(own.head.contains("x-request-id: job-7"), "{}", own.head);
    assert_eq!(own.body["instance"], "urn:spoolhook:request:job-7");
    assert!(own.head.contains("cache-control: no-store") && own.head.contains("application/problem+json"));
    let given = bench.call("GET", "/livez", &[("X-Request-Id", "a b")], "");
    assert!(given.head.contains("x-request-id: 0") && !given.head.contains("a b"), "{}", given.head);
    let refused = bench.call("GET", "/v1/status", &[], "");
    assert!(refused.body["instance"].as_str().unwrap().len() > 30, "{}", refused.body);
}

#[test]
fn readiness_in_full_needs_a_token() {
    let bench = bench(None);
    let brief = bench.call("GET", "/readyz", &[], "");
    assert_eq!((brief.status, brief.body), (503, json!({"ready": false, "checks": [{"name": "spool", "ok": false}]})));
    assert_eq!(bench.call("GET", "/readyz?verbose", &[], "").status, 401);
    let token = bench.token("monitor", Scope::Read, None);
    assert_eq!(bench.get("/readyz?verbose", &token).body["checks"][0]["reason"], "it cannot be listed");
    let tenants = bench.token("acme", Scope::Admin, Some("acme"));
    assert_eq!(bench.get("/readyz?verbose", &tenants).body["checks"][0].get("reason"), None);
}

#[test]
fn programs_of_this_machine_read_metrics_without_a_token() {
    use axum::extract::ConnectInfo;
    let may = |method: &str, path: &str, peer: &str, header: Option<&str>| {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        if let Some(name) = header {
            request = request.header(name, "10.0.0.7");
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(ConnectInfo(peer.parse::<std::net::SocketAddr>().unwrap()));
        super::gate::reader_of_metrics(&parts).is_some_and(|reader| reader.scope == Scope::Read)
    };
    assert!(may("GET", "/metrics", "127.0.0.1:5", None) && may("GET", "/metrics", "[::ffff:127.0.0.1]:5", None));
    assert!(!may("GET", "/metrics", "127.0.0.1:5", Some("x-forwarded-for")));
    assert!(!may("GET", "/metrics", "10.0.0.7:5", None));
    assert!(!may("GET", "/v1/status", "127.0.0.1:5", None) && !may("POST", "/metrics", "127.0.0.1:5", None));
}
