//! The receiver over real sockets, seen from a client.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::env::{Clock, ManualClock, SystemClock};
use crate::model::Timestamp;

const PATIENCE: Duration = Duration::from_secs(20);

fn start(options: Options) -> Receiver {
    Receiver::start(SocketAddr::from(([127, 0, 0, 1], 0)), options).unwrap()
}

fn connect(receiver: &Receiver) -> TcpStream {
    let stream = TcpStream::connect(receiver.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(stream: &mut TcpStream, body: &str) {
    let length = body.len();
    let request = format!("POST /hooks?a=1 HTTP/1.1\r\nHost: x\r\nX-Sig: s1\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
}

/// Status and the whole head of the next answer; answers in these tests have a length.
fn answer(stream: &mut TcpStream) -> io::Result<(u16, String)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length =
        head.split("content-length: ").nth(1).map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), head))
}

fn post(receiver: &Receiver, body: &str) -> io::Result<(u16, String)> {
    let mut stream = connect(receiver);
    send(&mut stream, body);
    answer(&mut stream)
}

#[test]
fn one_connection_carries_many_requests_and_all_are_kept() {
    let receiver = start(Options { collect: true, body: b"{\"ok\":true}".to_vec(), ..Options::default() });
    let mut stream = connect(&receiver);
    for body in ["one", "two", "three"] {
        send(&mut stream, body);
        let (status, head) = answer(&mut stream).unwrap();
        assert_eq!(status, 200);
        assert!(head.contains("content-type: application/json"), "{head}");
    }
    assert!(receiver.wait_for(3, PATIENCE));
    let received = receiver.received();
    assert_eq!(
        received.iter().map(|request| request.body.as_slice()).collect::<Vec<_>>(),
        [&b"one"[..], b"two", b"three"]
    );
    let first = &received[0];
    assert_eq!((first.method.as_str(), first.path.as_str(), first.query.as_deref()), ("POST", "/hooks", Some("a=1")));
    assert_eq!(first.header("x-sig"), Some("s1"));
    assert_eq!((first.number, first.status), (1, Some(200)));
    assert!(!receiver.wait_for(4, Duration::ZERO));
}

#[test]
fn statuses_take_turns_and_failures_say_when_to_come_back() {
    let receiver = start(Options { statuses: vec![503, 429, 200], retry_after: Some(7), ..Options::default() });
    for expected in [503, 429, 200, 503] {
        let (status, head) = post(&receiver, "x").unwrap();
        assert_eq!(status, expected);
        assert_eq!(head.contains("retry-after: 7\r\n"), expected != 200);
    }
    assert_eq!(receiver.count(), 4);
    assert!(receiver.received().is_empty());
}

#[test]
fn failures_are_drawn_from_the_seed() {
    let statuses = |seed| {
        let receiver = start(Options { fail_rate: 0.5, seed, ..Options::default() });
        let mut stream = connect(&receiver);
        let next = |_| {
            send(&mut stream, "x");
            answer(&mut stream).unwrap().0
        };
        (0..32).map(next).collect::<Vec<_>>()
    };
    let first = statuses(1);
    assert_eq!(first, statuses(1));
    assert!(first.contains(&200) && first.contains(&500));
}

#[test]
fn what_does_not_verify_is_shown_and_may_be_rejected() {
    let verify: Verify = Arc::new(|request| {
        let ok = request.body == b"good";
        Verdict { ok, text: if ok { "signature ok" } else { "bad signature" }.to_owned() }
    });
    let shown = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&shown);
    let on_request: OnRequest = Arc::new(move |request| {
        assert!(request.verdict.is_some());
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let options = Options { verify: Some(verify), on_request: Some(on_request), ..Options::default() };
    let lenient = start(options.clone());
    assert_eq!(post(&lenient, "evil").unwrap().0, 200);
    let strict = start(Options { reject_bad: true, collect: true, ..options });
    assert_eq!(post(&strict, "evil").unwrap().0, 401);
    assert_eq!(post(&strict, "good").unwrap().0, 200);
    assert_eq!(strict.received()[0].status, Some(401));
    assert_eq!(shown.load(Ordering::SeqCst), 3);
}

#[test]
fn requests_are_saved_whole_and_numbered_on() {
    let dir = tempfile::tempdir().unwrap();
    let album = dir.path().join("album");
    let clock = Arc::new(ManualClock::at(Timestamp(1_773_309_600_000)));
    let options = Options { save: Some(album.clone()), clock, ..Options::default() };
    let first = start(options.clone());
    post(&first, "{\"a\":1}").unwrap();
    first.stop();
    let second = start(options);
    post(&second, "Zürich").unwrap();
    second.stop();

    let mut names: Vec<_> =
        std::fs::read_dir(&album).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["000001-1773309600000.json", "000002-1773309600000.json"]);
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(album.join(&names[0])).unwrap()).unwrap();
    assert_eq!(saved["method"], "POST");
    assert_eq!(saved["path"], "/hooks?a=1");
    assert_eq!(saved["headers"][1], serde_json::json!(["x-sig", "s1"]));
    assert_eq!(saved["body"], "{\"a\":1}");
    assert_eq!(saved["body_base64"], "eyJhIjoxfQ==");
    assert_eq!(saved["received_at"], "2026-03-12T10:00:00.000Z");
    assert_eq!(saved["verdict"], serde_json::Value::Null);
}

#[test]
fn bytes_that_are_not_text_are_saved_as_base64_only() {
    let request = Received {
        number: 1,
        method: "POST".to_owned(),
        path: "/".to_owned(),
        query: None,
        headers: Vec::new(),
        body: vec![0xFF],
        received: Timestamp(0),
        verdict: None,
        status: None,
    };
    let saved: serde_json::Value = serde_json::from_slice(&request.to_json()).unwrap();
    assert_eq!((&saved["body"], &saved["body_base64"]), (&serde_json::Value::Null, &"/w==".into()));
}

#[test]
fn a_hanging_receiver_takes_requests_answers_none_and_still_stops() {
    let receiver = start(Options { hang: true, collect: true, ..Options::default() });
    let mut stream = connect(&receiver);
    send(&mut stream, "x");
    assert!(receiver.wait_for(1, PATIENCE));
    assert_eq!(receiver.received()[0].status, None);
    receiver.stop();
    assert!(answer(&mut stream).is_err());
}

#[test]
fn a_resetting_receiver_resets() {
    let receiver = start(Options { reset: true, ..Options::default() });
    assert_eq!(post(&receiver, "x").unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn an_answer_can_be_late() {
    let delay = Duration::from_millis(50);
    let receiver = start(Options { delay, ..Options::default() });
    let clock = SystemClock::new();
    assert_eq!(post(&receiver, "x").unwrap().0, 200);
    assert!(clock.monotonic() >= delay);
}

#[test]
fn a_stopped_receiver_frees_its_address() {
    let receiver = start(Options::default());
    let addr = receiver.addr();
    let idle = connect(&receiver);
    receiver.stop();
    drop(idle);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn impossible_options_are_refused() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    for options in [
        Options { statuses: vec![], ..Options::default() },
        Options { statuses: vec![100], ..Options::default() },
        Options { fail_rate: 1.5, ..Options::default() },
    ] {
        assert!(Receiver::start(any, options).is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput));
    }
}
