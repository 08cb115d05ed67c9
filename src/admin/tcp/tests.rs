//! Guests who ask for nothing, little by little, or without listening; over real sockets, in front of a fake engine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Limits;
use crate::admin::fake::{FakeEngine, attempt_line};
use crate::admin::{Admin, Door, DoorSettings, Listen, LiveHub, start};
use crate::env::{OsFiles, SystemClock};
use crate::model::{DeliveryStatus, Secret};

/// Longer than any test here takes.
const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(300);
/// For limits that a test keeps, on a busy machine too.
const SECOND: Duration = Duration::from_secs(1);
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);
const TOKEN: &str = "a-short-one";

struct Bench {
    admin: Admin,
    live: LiveHub,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

fn endless() -> Limits {
    Limits { head: HOUR, idle: HOUR, body: HOUR, write: HOUR, ..Limits::default() }
}

fn bench(limits: Limits) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s.sock");
    let settings = DoorSettings { bootstrap: Some(Secret::new(TOKEN)), ..DoorSettings::default() };
    let door = Door::open(Arc::new(OsFiles), dir.path(), Arc::new(SystemClock::new()), settings).unwrap();
    let listen = Listen { socket: Some(socket.clone()), tcp: Some("127.0.0.1:0".parse().unwrap()), limits };
    let live = LiveHub::new(4);
    let admin = start(&listen, Arc::new(FakeEngine::default()), live.clone(), Arc::new(door)).unwrap();
    Bench { admin, live, socket, _dir: dir }
}

/// A request whose answer ends the stream.
fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")
}

/// A request after which there may be others.
fn one_of_many(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")
}

impl Bench {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.admin.tcp_address().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> String {
        exchange(self.connect(), request)
    }

    fn ask_over_unix(&self, request: &str) -> String {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange(stream, request)
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Reads to the end, which comes, whether or not it is a friendly one.
fn assert_ends(stream: &mut TcpStream) {
    let ended = stream.read_to_end(&mut Vec::new());
    assert!(ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset) || ended.is_ok());
}

const FEW: usize = 4;

fn few() -> Limits {
    Limits { connections: FEW, ..endless() }
}

#[test]
fn silent_guests_give_way_to_those_who_ask() {
    let bench = bench(few());
    let mut silent: Vec<_> = (0..3 * FEW).map(|_| bench.connect()).collect();
    assert!(bench.ask_over_unix(&last("/v1/status")).starts_with("HTTP/1.0 200"));
    assert!(bench.ask(&last("/v1/status")).starts_with("HTTP/1.0 200"));
    silent.iter_mut().take(2 * FEW).for_each(assert_ends);
}

#[test]
fn whoever_is_answered_keeps_the_seat() {
    let bench = bench(Limits { pause: SHORT, ..few() });
    let listening = || {
        let mut stream = BufReader::new(bench.connect());
        stream.get_mut().write_all(last("/v1/stream").as_bytes()).unwrap();
        assert!(stream.by_ref().lines().any(|line| line.unwrap().is_empty()));
        stream
    };
    let mut listeners: Vec<_> = (0..FEW).map(|_| listening()).collect();
    let mut waiting = bench.connect();
    waiting.write_all(last("/livez").as_bytes()).unwrap();
    waiting.set_read_timeout(Some(2 * SHORT)).unwrap();
    assert!(waiting.read(&mut [0]).is_err(), "there is a bound");
    assert!(bench.ask_over_unix(&last("/v1/status")).starts_with("HTTP/1.0 200"));
    drop(listeners.pop());
    // An end is noticed when something is to be said.
    bench.live.announce(attempt_line(DeliveryStatus::Failed));
    bench.live.announce(attempt_line(DeliveryStatus::Failed));
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(exchange(waiting, "").ends_with("ok\n"), "who waited has a turn when a seat is free");
}

#[test]
fn silent_guests_lose_their_seats() {
    let bench = bench(Limits { head: SHORT, ..few() });
    (0..FEW).map(|_| bench.connect()).collect::<Vec<_>>().iter_mut().for_each(assert_ends);
}

#[test]
fn a_head_that_drips_is_cut() {
    let bench = bench(Limits { head: SHORT, ..endless() });
    let mut stream = bench.connect();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let sent = one_of_many("/livez").bytes().chain(std::iter::repeat(b'a')).take(20_000).position(|byte| {
        // The end shows in either direction.
        let is_open = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        stream.write_all(&[byte]).is_err() || !stream.read(&mut [0]).as_ref().is_err_and(is_open)
    });
    assert!(sent.is_some(), "100 s of dripping");
}

#[test]
fn a_head_without_end_is_cut() {
    let bench = bench(endless());
    let mut stream = bench.connect();
    let mut head = b"GET /livez HTTP/1.1\r\nX: ".to_vec();
    head.resize(1 << 20, b'a');
    // It may be cut before all of it is sent.
    let _ = stream.write_all(&head);
    assert_ends(&mut stream);
}

#[test]
fn a_guest_who_stays_without_asking_is_let_go() {
    let bench = bench(Limits { idle: SHORT, ..endless() });
    let answers = bench.ask(&one_of_many("/livez").repeat(3));
    assert_eq!(answers.matches("ok\n").count(), 3, "{answers}");
}

#[test]
fn whoever_waits_for_us_is_not_hurried() {
    let bench = bench(Limits { head: SECOND, idle: SECOND, body: SECOND, write: SECOND, ..endless() });
    let mut stream = bench.connect();
    stream.write_all(last("/v1/stream").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    lines.by_ref().find(|line| line.is_empty()).unwrap();
    // Longer than any limit, and as long as the poll itself says.
    let page = bench.ask(&last("/v1/events?after=e8&wait=2500ms"));
    assert!(page.starts_with("HTTP/1.0 200") && page.contains("\"next_cursor\":\"e8\""), "{page}");
    bench.live.announce(attempt_line(DeliveryStatus::Failed));
    assert_eq!(lines.next().as_deref(), Some("event: attempt"));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let bench = bench(Limits { body: SHORT, ..endless() });
    let head = last("/v1/events/match").replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n{");
    let answer = bench.ask(&head);
    assert!(answer.starts_with("HTTP/1.0 400") && answer.contains("nothing more of it came"), "{answer}");
}

#[test]
fn answers_that_nobody_takes_are_given_up() {
    let bench = bench(Limits { write: SHORT, ..endless() });
    let mut stream = bench.connect();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let many = one_of_many("/v1/openapi.json").repeat(100);
    let error = (0..10_000).find_map(|_| stream.write_all(many.as_bytes()).err()).unwrap();
    let is_cut = matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe);
    assert!(is_cut, "{error}");
}

#[test]
fn few_descriptors_are_few_connections() {
    let limits = Limits::default();
    assert_eq!(limits.within(None).connections, 256);
    assert_eq!(limits.within(Some(65_536)).connections, 256);
    assert_eq!(limits.within(Some(512)).connections, 128);
    assert_eq!(limits.within(Some(2)).connections, 1);
}
