//! OAuth2 against a token server: fetched once, shared, renewed, and never sent without.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::support::{AMPLE, Client, OK, Server, outcome, request, settings, subscription};
use crate::env::{Clock, SystemClock};
use crate::http::{Origin, Transport, UreqTransport};
use crate::model::{OAuth2, OAuth2Body, Outcome, Secret, Timestamp};

/// The real clock, which can be moved ahead.
struct Skewed {
    real: SystemClock,
    ahead_s: AtomicUsize,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        self.real.now()
    }

    fn monotonic(&self) -> Duration {
        self.real.monotonic() + Duration::from_secs(self.ahead_s.load(Ordering::SeqCst) as u64)
    }
}

fn oauth2(server: &Server, body: OAuth2Body) -> OAuth2 {
    OAuth2 {
        token_url: format!("http://{}/token", server.address),
        client_id: "me".to_owned(),
        client_secret: Secret::new("s3cret&"),
        scope: Some("hooks write".to_owned()),
        body,
        params: BTreeMap::from([("audience".to_owned(), "oms".to_owned())]),
        headers: vec![("X-Tenant".to_owned(), Secret::new("acme"))],
    }
}

/// A token server that numbers its tokens.
fn token_server(expires_in: &'static str) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |peer| {
        while peer.request().is_some() {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            let body = format!(r#"{{"access_token":"t{number}","token_type":"bearer"{expires_in}}}"#);
            peer.answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    })
}

fn client(receiver: &Server, oauth2: OAuth2) -> Client {
    let mut subscription = subscription(&receiver.url());
    subscription.oauth2 = Some(oauth2);
    Client::of(&subscription)
}

fn authorizations(server: &Server) -> Vec<String> {
    let line = |request: &String| {
        let mut lines = request.lines();
        lines.find_map(|line| line.strip_prefix("Authorization: ")).unwrap_or("none").to_owned()
    };
    server.requests().iter().map(line).collect()
}

#[test]
fn a_token_is_fetched_once_and_kept() {
    let (tokens, receiver) = (token_server(r#","expires_in":3600"#), Server::answering(OK));
    let client = client(&receiver, oauth2(&tokens, OAuth2Body::Form));
    assert!(!client.transport.is_ready(&client.endpoint), "the token has to come first");
    for _ in 0..3 {
        assert_eq!(outcome(&client.send(AMPLE)), Outcome::Success);
    }
    assert_eq!(authorizations(&receiver), ["Bearer t1", "Bearer t1", "Bearer t1"]);
    let asked = tokens.requests();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("POST /token HTTP/1.1\r\n"));
    assert!(asked[0].contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert!(asked[0].contains("\r\nX-Tenant: acme\r\n"));
    assert!(asked[0].ends_with(
        "\r\n\r\ngrant_type=client_credentials&client_id=me&client_secret=s3cret%26&scope=hooks+write&audience=oms"
    ));
    assert!(client.transport.is_ready(&client.endpoint));
}

#[test]
fn parameters_travel_as_json_too() {
    let (tokens, receiver) = (token_server(""), Server::answering(OK));
    client(&receiver, oauth2(&tokens, OAuth2Body::Json)).send(AMPLE);
    let asked = tokens.requests().remove(0);
    let body: serde_json::Value = serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["client_secret"], "s3cret&");
    assert_eq!(body["audience"], "oms");
    assert!(asked.contains("\r\nContent-Type: application/json\r\n"));
}

#[test]
fn many_senders_share_one_fetch() {
    let (tokens, receiver) = (token_server(""), Server::answering(OK));
    let client = client(&receiver, oauth2(&tokens, OAuth2Body::Form));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(outcome(&client.send(AMPLE)), Outcome::Success));
        }
    });
    assert_eq!(tokens.requests().len(), 1);
    assert_eq!(receiver.requests().len(), 8);
}

#[test]
fn a_token_near_its_end_is_renewed_and_a_refused_one_forgotten() {
    let tokens = token_server(r#","expires_in":"100""#);
    let receiver = Server::answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let clock = Arc::new(Skewed { real: SystemClock::new(), ahead_s: AtomicUsize::new(0) });
    let transport = UreqTransport::new(&settings(), clock.clone()).unwrap();
    let mut subscription = subscription(&receiver.url());
    subscription.oauth2 = Some(oauth2(&tokens, OAuth2Body::Form));
    let endpoint = transport.endpoint(&subscription, Origin::File).unwrap();
    for ahead_s in [0, 1, 35, 36, 107] {
        clock.ahead_s.store(ahead_s, Ordering::SeqCst);
        let evidence = transport.send(&endpoint, &request(), AMPLE);
        assert_eq!(outcome(&evidence), Outcome::Http4xx);
    }
    // At 1 s the refused token is too young to be replaced; at 35 s it is dropped; at 107 s its successor is near its end.
    assert_eq!(authorizations(&receiver), ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2", "Bearer t3"]);
}

#[test]
fn without_a_token_nothing_is_sent() {
    let refusing =
        Server::answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 26\r\n\r\n{\"error\":\"invalid_client\"}");
    let receiver = Server::answering(OK);
    let client = client(&receiver, oauth2(&refusing, OAuth2Body::Form));
    for _ in 0..3 {
        let evidence = client.send(AMPLE);
        assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::OauthToken, 0));
        assert!(evidence.result.unwrap_err().message.contains("invalid_client"));
    }
    assert_eq!((refusing.requests().len(), receiver.connections()), (1, 0));
}

#[test]
fn token_endpoints_obey_the_same_policy() {
    let receiver = Server::answering(OK);
    let mut settings = oauth2(&receiver, OAuth2Body::Form);
    settings.token_url = "http://169.254.169.254/token".to_owned();
    let evidence = client(&receiver, settings).send(AMPLE);
    assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::OauthToken, 0));
    assert!(evidence.result.unwrap_err().message.contains("169.254.169.254"));
    let redirecting = Server::answering(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    let evidence = client(&receiver, oauth2(&redirecting, OAuth2Body::Form)).send(AMPLE);
    assert_eq!((outcome(&evidence), redirecting.requests().len()), (Outcome::OauthToken, 1));
}
