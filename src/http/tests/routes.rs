//! Ways to an endpoint and back: names, forbidden addresses, proxies, the unix socket.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::support::{AMPLE, BRIEF, Client, OK, Server, outcome, request, settings, subscription};
use crate::env::SystemClock;
use crate::http::resolver::Resolver;
use crate::http::{Evidence, NetworkSettings, Origin, Transport, UnixClient, UreqTransport};
use crate::model::{Outcome, Secret};

fn send_with(settings: &NetworkSettings, url: &str, origin: Origin) -> Evidence {
    let transport = UreqTransport::new(settings, Arc::new(SystemClock::new())).unwrap();
    let endpoint = transport.endpoint(&subscription(url), origin).unwrap();
    transport.send(&endpoint, &request(), AMPLE)
}

/// A transport whose names lead to `addresses`.
fn named(addresses: &[&str]) -> UreqTransport {
    let clock = Arc::new(SystemClock::new());
    let found: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let resolver = Resolver::with_lookup(clock.clone(), Box::new(move |_| Ok(found.clone())));
    UreqTransport::with_resolver(&settings(), resolver, clock).unwrap()
}

#[test]
fn forbidden_addresses_are_never_connected_to() {
    let server = Server::answering(OK);
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"] {
        let evidence = send_with(&settings(), &format!("http://{host}:{port}/"), Origin::Api);
        assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::BlockedAddress, 0), "{host}: {evidence:?}");
    }
    let own = NetworkSettings { own_ports: vec![port], ..settings() };
    let evidence = send_with(&own, &server.url(), Origin::File);
    assert_eq!(outcome(&evidence), Outcome::BlockedAddress);
    assert_eq!(server.connections(), 0);
    let allowed = NetworkSettings { allow: vec!["127.0.0.0/8".to_owned()], ..settings() };
    assert_eq!(outcome(&send_with(&allowed, &server.url(), Origin::Api)), Outcome::Success);
}

#[test]
fn forbidden_answers_of_a_name_are_skipped() {
    let server = Server::answering(OK);
    let url = format!("http://oms.lan:{}/", server.address.port());
    let transport = named(&["169.254.169.254", "127.0.0.1"]);
    let endpoint = transport.endpoint(&subscription(&url), Origin::File).unwrap();
    let evidence = transport.send(&endpoint, &request(), AMPLE);
    assert_eq!((outcome(&evidence), evidence.remote), (Outcome::Success, Some(server.address)));
    let transport = named(&["169.254.169.254"]);
    let endpoint = transport.endpoint(&subscription(&url), Origin::File).unwrap();
    assert_eq!(outcome(&transport.send(&endpoint, &request(), AMPLE)), Outcome::BlockedAddress);
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let server = Server::answering(OK);
    let transport = named(&["127.0.0.2", "::1", "127.0.0.1"]);
    let url = format!("http://oms.lan:{}/", server.address.port());
    let endpoint = transport.endpoint(&subscription(&url), Origin::File).unwrap();
    assert_eq!(transport.send(&endpoint, &request(), AMPLE).remote, Some(server.address));
}

#[test]
fn names_that_are_not_found_or_not_looked_up_in_time() {
    let clock = Arc::new(SystemClock::new());
    let (_open, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let look_up = move |name: &str| {
        if name == "slow.lan" {
            held.lock().unwrap().recv().ok();
        }
        Err(std::io::Error::other("no such name"))
    };
    let resolver = Resolver::with_lookup(clock.clone(), Box::new(look_up));
    let transport = UreqTransport::with_resolver(&settings(), resolver, clock).unwrap();
    for (host, words) in [("gone.lan", "was not found"), ("slow.lan", "was not looked up in time")] {
        let endpoint = transport.endpoint(&subscription(&format!("http://{host}/")), Origin::File).unwrap();
        let evidence = transport.send(&endpoint, &request(), BRIEF);
        assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::Dns, 0));
        assert!(evidence.result.unwrap_err().message.contains(words));
        assert!(evidence.elapsed < BRIEF * 4);
    }
}

/// A proxy that connects every tunnel to `server`, or answers with `refusal`.
fn proxy(server: &Server, refusal: Option<&'static [u8]>) -> Server {
    let target = server.address;
    Server::start_raw(move |mut client, requests| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        requests.lock().unwrap().push(String::from_utf8(head).unwrap());
        if let Some(refusal) = refusal {
            client.write_all(refusal).unwrap();
            return;
        }
        client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").unwrap();
        let mut server = TcpStream::connect(target).unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        std::io::copy(&mut server, &mut client).unwrap();
    })
}

fn through(proxy: &Server, url: &str) -> Evidence {
    let setting = format!("http://user:p4ss@{}", proxy.address);
    send_with(&NetworkSettings { proxy: Secret::new(setting), ..settings() }, url, Origin::File)
}

#[test]
fn a_proxy_opens_a_tunnel() {
    let server = Server::answering(OK);
    let proxy = proxy(&server, None);
    let evidence = through(&proxy, "http://oms.example:8080/hooks");
    assert_eq!((outcome(&evidence), evidence.remote), (Outcome::Success, Some(proxy.address)));
    assert_eq!(
        proxy.requests(),
        [
            "CONNECT oms.example:8080 HTTP/1.1\r\nHost: oms.example:8080\r\nProxy-Authorization: Basic dXNlcjpwNHNz\r\n\r\n"
        ]
    );
    let received = server.requests().remove(0);
    assert!(received.starts_with("POST /hooks HTTP/1.1\r\nHost: oms.example:8080\r\n"), "{received}");
    assert!(!received.contains("Proxy"));
    assert_eq!(evidence.request_bytes, received.len() as u64);
}

#[test]
fn a_proxy_that_does_not() {
    let server = Server::answering(OK);
    for (refusal, words) in [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".as_slice(), "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"", "closed"),
    ] {
        let proxy = proxy(&server, Some(refusal));
        let evidence = through(&proxy, "https://oms.example/hooks");
        assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::Proxy, 0), "{evidence:?}");
        let message = evidence.result.unwrap_err().message;
        assert!(message.contains(words) && !message.contains("p4ss"), "{message}");
    }
    let dead = NetworkSettings { proxy: Secret::new("http://127.0.0.1:1"), ..settings() };
    let evidence = send_with(&dead, "http://oms.example/", Origin::File);
    assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::Proxy, 0));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_literal_address_behind_a_proxy_is_judged_all_the_same() {
    let server = Server::answering(OK);
    let proxy = proxy(&server, None);
    assert_eq!(outcome(&through(&proxy, "http://169.254.169.254/latest")), Outcome::BlockedAddress);
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn idle_connections_of_quiet_endpoints_are_closed() {
    struct Ahead(SystemClock, std::sync::atomic::AtomicU64);
    impl crate::env::Clock for Ahead {
        fn now(&self) -> crate::model::Timestamp {
            self.0.now()
        }
        fn monotonic(&self) -> Duration {
            self.0.monotonic() + Duration::from_secs(self.1.load(std::sync::atomic::Ordering::SeqCst))
        }
    }
    let (closed, notice) = mpsc::channel();
    let server = Server::start(move |peer| {
        while peer.request().is_some() {
            peer.answer(OK);
        }
        closed.send(()).unwrap();
    });
    let clock = Arc::new(Ahead(SystemClock::new(), 1.into()));
    let transport = UreqTransport::new(&settings(), clock.clone()).unwrap();
    let endpoint = transport.endpoint(&subscription(&server.url()), Origin::File).unwrap();
    transport.send(&endpoint, &request(), AMPLE);
    transport.close_idle();
    assert!(notice.try_recv().is_err());
    clock.1.store(20, std::sync::atomic::Ordering::SeqCst);
    transport.close_idle();
    notice.recv_timeout(AMPLE).unwrap();
    assert_eq!(outcome(&transport.send(&endpoint, &request(), AMPLE)), Outcome::Success);
}

#[test]
fn the_unix_socket_answers_requests_and_streams() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("spoolhook.sock");
    let client = UnixClient::new(&path);
    assert_eq!(client.request("GET", "/livez", None).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    let listener = UnixListener::bind(&path).unwrap();
    let engine = std::thread::spawn(move || {
        let mut heads = Vec::new();
        let answers = [
            b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}".as_slice(),
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n5\r\ntwo\nt\r\n4\r\nhree\r\n0\r\n\r\n",
        ];
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = vec![0; 4096];
            let mut read = stream.read(&mut bytes).unwrap();
            if bytes.starts_with(b"PUT") && !bytes[..read].ends_with(b"[1]") {
                read += stream.read(&mut bytes[read..]).unwrap();
            }
            bytes.truncate(read);
            heads.push(String::from_utf8(bytes).unwrap());
            stream.write_all(answer).unwrap();
        }
        heads
    });
    assert_eq!(client.request("PUT", "/v1/webhooks/1?x=y", Some(b"[1]")).unwrap(), (409, b"{}".to_vec()));
    assert_eq!(client.request("POST", "/v1/webhooks/1/pause", None).unwrap(), (204, Vec::new()));
    let (status, lines) = client.lines("/v1/stream").unwrap();
    let lines: Vec<_> = lines.map(Result::unwrap).collect();
    assert_eq!((status, lines), (200, vec!["one".to_owned(), "two".to_owned(), "three".to_owned()]));
    let heads = engine.join().unwrap();
    assert!(heads[0].starts_with("PUT /v1/webhooks/1?x=y HTTP/1.1\r\n") && heads[0].ends_with("\r\n\r\n[1]"));
    assert!(heads[0].to_lowercase().contains("content-type: application/json"));
    assert!(heads[1].to_lowercase().contains("content-length: 0"), "{}", heads[1]);
    assert!(heads[2].starts_with("GET /v1/stream HTTP/1.1\r\n"));
}

#[test]
fn masked_names_are_enough_to_talk_about_an_endpoint() {
    let client = Client::new("https://oms.example:8443/hooks/t0ken");
    assert_eq!(client.endpoint.authority(), "oms.example:8443");
}
