//! What goes over the wire, byte for byte, and how connections are reused.

use super::support::{AMPLE, Client, OK, Server, outcome, request, settings, subscription, transport};
use crate::http::{EndpointError, Origin, Transport, UrlError};
use crate::model::{Outcome, Secret};
use crate::wire::Request;

#[test]
fn nothing_is_added_to_a_request() {
    let server = Server::answering(OK);
    let evidence = Client::new(&server.url()).send(AMPLE);
    let expected = format!(
        "POST /hooks/t0ken?key=s3cret HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 8\r\n\r\n{{\"id\":1}}",
        server.address
    );
    assert_eq!(server.requests(), [expected.as_str()]);
    assert_eq!(evidence.request_bytes, expected.len() as u64);
    assert_eq!(evidence.remote, Some(server.address));
    let response = evidence.result.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, b"ok".as_slice()));
    assert_eq!(response.headers, [("content-length".to_owned(), "2".to_owned())]);
}

#[test]
fn header_names_keep_their_spelling_and_order() {
    let server = Server::answering(OK);
    let client = Client::new(&server.url());
    let names = ["X-Umbra-Signature", "webhook-id", "CE-Type", "traceparent", "Host", "x-Last"];
    let headers = names.iter().map(|name| ((*name).to_owned(), format!("{name} v"))).collect();
    client.transport.send(&client.endpoint, &Request { headers, body: Vec::new() }, AMPLE);
    let request = server.requests().remove(0);
    let lines: Vec<_> = request.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "X-Umbra-Signature: X-Umbra-Signature v",
            "webhook-id: webhook-id v",
            "CE-Type: CE-Type v",
            "traceparent: traceparent v",
            "x-Last: x-Last v",
            "Content-Length: 0",
            "",
        ]
    );
}

#[test]
fn headers_of_the_subscription_replace_those_of_the_request() {
    let server = Server::answering(OK);
    let mut subscription = subscription(&server.url());
    subscription.headers = vec![
        ("Authorization".to_owned(), Secret::new("Bearer x")),
        ("content-type".to_owned(), Secret::new("application/vnd.oms+json")),
    ];
    Client::of(&subscription).send(AMPLE);
    let request = server.requests().remove(0);
    assert!(request.contains("\r\nAuthorization: Bearer x\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-type: application/vnd.oms+json\r\n"), "{request}");
    assert!(!request.contains("application/json"), "{request}");
}

#[test]
fn a_large_body_arrives_whole() {
    let server = Server::answering(OK);
    let client = Client::new(&server.url());
    let body = vec![b'x'; 1_000_000];
    let evidence = client.transport.send(&client.endpoint, &Request { headers: Vec::new(), body }, AMPLE);
    assert_eq!(outcome(&evidence), Outcome::Success);
    let received = server.requests().remove(0);
    assert_eq!(received.len() as u64, evidence.request_bytes);
    assert!(received.ends_with(&"x".repeat(1_000_000)));
}

#[test]
fn connections_are_reused_after_a_short_body() {
    let server = Server::answering(OK);
    let client = Client::new(&server.url());
    for _ in 0..5 {
        let evidence = client.send(AMPLE);
        assert_eq!((outcome(&evidence), evidence.remote), (Outcome::Success, Some(server.address)));
    }
    assert_eq!((server.requests().len(), server.connections()), (5, 1));
}

#[test]
fn a_long_body_is_cut_and_its_connection_closed() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}", "y".repeat(100_000));
    let server = Server::answering(long.leak().as_bytes());
    let client = Client::new(&server.url());
    for _ in 0..2 {
        assert_eq!(client.send(AMPLE).result.unwrap().body.len(), 16 * 1024);
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn shutting_down_ends_what_is_under_way() {
    let server = Server::start(|peer| {
        peer.request();
        peer.hang();
    });
    let client = Client::new(&server.url());
    let evidence = std::thread::scope(|scope| {
        let under_way = scope.spawn(|| client.send(AMPLE));
        while server.requests().is_empty() {
            std::thread::yield_now();
        }
        client.transport.shut_down();
        under_way.join().unwrap()
    });
    assert_eq!(outcome(&evidence), Outcome::Reset);
    assert!(evidence.request_bytes > 0 && evidence.elapsed < AMPLE);
    let refused = client.send(AMPLE);
    assert_eq!((refused.result.is_err(), refused.request_bytes), (true, 0));
}

#[test]
fn unusable_endpoints_are_refused_at_load() {
    let transport = transport();
    let refused = |url: &str| transport.endpoint(&subscription(url), Origin::File).err().map(|error| error.to_string());
    assert_eq!(refused("http://oms.lan/hooks"), None);
    assert_eq!(refused("https://[fd00::1]:8443/h?a=%7B%22b%22:1%7D|c"), None);
    for (url, error) in [
        ("ftp://oms.lan/hooks", UrlError::Scheme),
        ("oms.lan/hooks", UrlError::Unreadable),
        ("http://user:pw@oms.lan/", UrlError::UserInfo),
        ("http://oms.lan:0/", UrlError::PortZero),
        ("http://oms.lan:99999/", UrlError::Unreadable),
    ] {
        assert_eq!(refused(url), Some(format!("url: {error}")), "{url}");
    }
    for name in ["Host", "content-length", "Transfer-Encoding", "Expect"] {
        let mut subscription = subscription("http://oms.lan/");
        subscription.headers = vec![(name.to_owned(), Secret::new("x"))];
        let error = transport.endpoint(&subscription, Origin::File).err().unwrap();
        assert!(matches!(error, EndpointError::ConnectionHeader(_)), "{error}");
    }
    let mut injected = subscription("http://oms.lan/");
    injected.headers = vec![("X-A".to_owned(), Secret::new("a\r\nX-B: b"))];
    assert!(matches!(transport.endpoint(&injected, Origin::File), Err(EndpointError::InvalidHeader(_))));
}

#[test]
fn a_header_that_cannot_be_sent_sends_nothing() {
    let server = Server::answering(OK);
    let client = Client::new(&server.url());
    let mut request = request();
    request.headers.push(("X-A".to_owned(), "a\r\nX-B: b".to_owned()));
    let evidence = client.transport.send(&client.endpoint, &request, AMPLE);
    assert!(evidence.result.is_err());
    assert_eq!((evidence.request_bytes, server.connections()), (0, 0));
}

#[test]
fn default_settings_read_the_proxy_from_the_environment() {
    assert_eq!(crate::http::NetworkSettings::default().proxy.expose(), "env");
    assert_eq!(settings().proxy.expose(), "none");
}
