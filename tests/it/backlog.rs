//! A great many events behind endpoints that do not answer: memory, the other lanes, a start after a kill, and the way the
//! backlog goes when the endpoints are back.
//!
//! `SPOOLHOOK_BACKLOG_EVENTS` and `SPOOLHOOK_BACKLOG_RATE` (deliveries per second that an endpoint allows once it is well)
//! set the size. `cargo test --release --test it backlog -- --nocapture` prints the figures. Times are judged only when a size
//! is given: then it runs by hand and alone, and not beside tests that fill disks.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use spoolhook::env::{Clock, SystemClock};

use crate::support::{HEAD, Scenario, Sink, free_port, number, pause, wait_until};

/// Growth allowed beside what an engine without a backlog has.
const GROWTH_KIB_MAX: u64 = 64 << 10;
const FIRST_SEND_MAX: Duration = Duration::from_secs(3);
/// Longest way of an event that is written while others are taken in as fast as they come.
const FILLING_MAX: Duration = Duration::from_secs(3);
const IN_FLIGHT_MAX: usize = 4;
const LIVE_EVERY: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(60);

fn config(live: SocketAddr, refused: SocketAddr, hanging: SocketAddr, rate: u64) -> String {
    let retry = [vec![r#""5s""#; 12], vec![r#""30s""#; 18]].concat().join(",");
    format!(
        r#"{HEAD}
[dialect.live]
body = '{{"event":{{{{id}}}}}}'
headers = {{ X-Delivery-Id = "{{{{id}}}}" }}
[dialect.bulk]
body = '{{"event":{{{{id}}}},"time":{{{{time}}}},"data":{{{{data}}}}}}'
headers = {{ X-Delivery-Id = "{{{{delivery_id}}}}" }}

[[subscription]]
name = "live"
url = "http://{live}/live"
dialect = "live"
events = ["live"]

[[subscription]]
name = "refused"
url = "http://{refused}/refused"
dialect = "bulk"
events = ["bulk.*"]
retry = [{retry}]
max_in_flight = {IN_FLIGHT_MAX}
rate_limit = "{rate}/s"

[[subscription]]
name = "hanging"
url = "http://{hanging}/hanging"
dialect = "bulk"
events = ["bulk.tenth"]
timeout = "1s"
retry = [{retry}]
max_in_flight = {IN_FLIGHT_MAX}
rate_limit = "{rate}/s"
"#
    )
}

/// A receiver that was down, and notes how hard it is pressed now that it is back.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
    /// Deliveries by second.
    seconds: Mutex<Vec<u64>>,
}

impl Gauge {
    fn note(&self, at: Duration) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        pause(Duration::from_micros(200));
        let second = usize::try_from(at.as_secs()).unwrap();
        let mut seconds = self.seconds.lock().unwrap();
        if seconds.len() <= second {
            seconds.resize(second + 1, 0);
        }
        seconds[second] += 1;
        drop(seconds);
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    /// Most deliveries in a second, and in how many seconds nine tenths of all came: the others are retries, which come when
    /// they are due.
    fn pressure(&self) -> (u64, usize) {
        let mut seconds = self.seconds.lock().unwrap().clone();
        seconds.sort_unstable_by(|a, b| b.cmp(a));
        let most = seconds.iter().sum::<u64>() * 9 / 10;
        let reached = seconds.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        (seconds.first().copied().unwrap_or(0), reached.take_while(|sum| *sum < most).count() + 1)
    }
}

fn append_bulk(inbox: &Path, events: u64) {
    let mut file = File::options().append(true).create(true).open(inbox.join("bulk.ndjson")).unwrap();
    let note = "x".repeat(300);
    for n in 0..events {
        let kind = if n % 10 == 0 { "tenth" } else { "most" };
        let line = format!("{{\"type\":\"bulk.{kind}\",\"id\":\"b{n}\",\"data\":{{\"n\":{n},\"note\":\"{note}\"}}}}\n");
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// The producer of the lane that is well: each event tells when it was written.
struct Live<'a> {
    file: File,
    clock: &'a SystemClock,
    sink: &'a Sink,
    ages: &'a Mutex<Vec<Duration>>,
    sent: usize,
}

impl Live<'_> {
    fn append(&mut self) {
        let (number, at) = (self.sent, self.clock.monotonic().as_micros());
        let line = format!("{{\"type\":\"live\",\"id\":\"{number}:{at}\",\"data\":{{}}}}\n");
        self.file.write_all(line.as_bytes()).unwrap();
        self.sent += 1;
    }

    /// Appends while `goes_on`, and at least a while; then the 99th percentile and the longest of their ages on arrival.
    fn run(&mut self, mut goes_on: impl FnMut() -> bool) -> (Duration, Duration) {
        let (began, until) = (self.sent, self.sent + 200);
        while goes_on() || self.sent < until {
            self.append();
            pause(LIVE_EVERY);
        }
        assert_eq!(
            self.sink.wait_for("/live", self.sent, PATIENCE),
            self.sent,
            "events of the healthy lane are missing"
        );
        let mut ages = std::mem::take(&mut *self.ages.lock().unwrap());
        assert_eq!(ages.len(), self.sent - began);
        ages.sort();
        (ages[ages.len() * 99 / 100], ages[ages.len() - 1])
    }
}

fn sum(audit: &serde_json::Value, what: &str) -> u64 {
    let all = audit["subscriptions"].as_array().expect("a list of books");
    all.iter().map(|books| books[what].as_u64().expect("a count")).sum()
}

#[test]
fn a_backlog_costs_little_and_goes_at_the_endpoints_pace() {
    let (events, rate) = (number("SPOOLHOOK_BACKLOG_EVENTS", 5_000), number("SPOOLHOOK_BACKLOG_RATE", 1_000));
    let times_count = std::env::var_os("SPOOLHOOK_BACKLOG_EVENTS").is_some();
    let clock = Arc::new(SystemClock::new());
    let ages = Arc::new(Mutex::new(Vec::new()));
    let live_sink = Sink::start({
        let (clock, ages) = (clock.clone(), ages.clone());
        move |_, id, _| {
            let written: u64 = id.split_once(':').expect("our own id").1.parse().expect("microseconds");
            ages.lock().unwrap().push(clock.monotonic().saturating_sub(Duration::from_micros(written)));
            200
        }
    });
    let refused = free_port();
    // The kernel accepts, and nobody reads.
    let hanging = TcpListener::bind(free_port()).unwrap();
    let hanging_at = hanging.local_addr().unwrap();
    let scenario = Scenario::new(&config(live_sink.addr(), refused, hanging_at, rate));
    let mut engine = scenario.engine();
    engine.ready();
    let inbox = scenario.path("spool/in");
    let file = File::options().append(true).create(true).open(inbox.join("live.ndjson")).unwrap();
    let mut live = Live { file, clock: &clock, sink: &live_sink, ages: &ages, sent: 0 };

    let alone = live.run(|| false);
    let before_kib = engine.memory_kib();
    let taken = || scenario.cli(&["status"]).json["spool"]["events"].as_u64().unwrap_or(0);
    let writing = std::thread::spawn({
        let inbox = inbox.clone();
        move || append_bulk(&inbox, events)
    });
    let (mut looked, mut most_kib) = (clock.monotonic(), 0);
    let filling = live.run(|| {
        most_kib = most_kib.max(engine.memory_kib());
        if !writing.is_finished() || clock.monotonic() < looked + Duration::from_secs(1) {
            return true;
        }
        looked = clock.monotonic();
        taken() < events
    });
    writing.join().unwrap();
    let standing = live.run(|| false);
    let after_kib = engine.memory_kib();
    println!("healthy lane, p99 and longest: alone {alone:?}, while it fills {filling:?}, behind it {standing:?}");
    println!("memory: {before_kib} KiB before, {most_kib} at most, {after_kib} after");

    engine.kill();
    live.append();
    let killed_at = clock.monotonic();
    engine = scenario.engine();
    assert_eq!(live_sink.wait_for("/live", live.sent, PATIENCE), live.sent);
    let first_send = clock.monotonic() - killed_at;
    engine.ready();
    ages.lock().unwrap().clear();
    println!("start to first send: {first_send:?}");

    let (gauges, start) = ([Arc::new(Gauge::default()), Arc::new(Gauge::default())], clock.monotonic());
    let noted = |gauge: &Arc<Gauge>| {
        let (gauge, clock) = (gauge.clone(), clock.clone());
        move |_: &str, _: &str, _: u32| {
            gauge.note(clock.monotonic() - start);
            200
        }
    };
    let refused = Sink::on(TcpListener::bind(refused).unwrap(), noted(&gauges[0]));
    // What was never accepted goes with its listener.
    drop(hanging);
    let hanging = Sink::on(TcpListener::bind(hanging_at).unwrap(), noted(&gauges[1]));
    let lanes = [(&refused, "/refused", events, &gauges[0]), (&hanging, "/hanging", events.div_ceil(10), &gauges[1])];
    let patience = PATIENCE * 2 + Duration::from_secs(events * 4 / rate);
    let deadline = clock.monotonic() + patience;
    let drained = |(sink, path, all, _): &(&Sink, &str, u64, _)| {
        sink.wait_for(path, *all as usize, Duration::ZERO) as u64 == *all
    };
    let draining = live.run(|| !lanes.iter().all(drained) && clock.monotonic() < deadline);
    println!("healthy lane while the backlog goes: {draining:?}");
    for (sink, path, all, gauge) in lanes {
        let (most, seconds) = gauge.pressure();
        println!(
            "{path}: {all} deliveries, nine tenths in {seconds} s, {most} in a second at most, {:?} at once",
            gauge.most
        );
        assert_eq!(sink.wait_for(path, all as usize, PATIENCE) as u64, all, "deliveries are missing on {path}");
        assert!(gauge.most.load(Ordering::SeqCst) <= IN_FLIGHT_MAX);
        // A full bucket, what flows into it in a second, and what was on its way before.
        let allowed = 2 * rate + IN_FLIGHT_MAX as u64;
        assert!(most <= allowed, "{most} deliveries in a second, {allowed} are allowed");
        let is_slow = seconds as u64 > 3 + 3 * all / rate;
        assert!(!times_count || !is_slow, "{all} deliveries took {seconds} s at {rate}/s");
        assert_eq!(sink.faults(), Vec::<String>::new());
    }
    println!("memory when all is delivered: {} KiB", engine.memory_kib());

    let mut audit = scenario.cli(&["audit"]);
    wait_until(PATIENCE, || {
        audit = scenario.cli(&["audit"]);
        sum(&audit.json, "pending") == 0
    });
    assert_eq!(audit.code, Some(0), "{:#} {}", audit.json, audit.stderr);
    let matched = events + events.div_ceil(10) + live.sent as u64;
    assert_eq!((sum(&audit.json, "matched"), sum(&audit.json, "delivered")), (matched, matched));

    let growth_kib = most_kib.max(after_kib).saturating_sub(before_kib);
    assert!(growth_kib < GROWTH_KIB_MAX, "a backlog of {events} events took {growth_kib} KiB");
    assert_eq!(engine.stop(), Some(0));
    if !times_count {
        return;
    }
    assert!(first_send < FIRST_SEND_MAX, "the first send came {first_send:?} after the start");
    let usual = alone.0.max(Duration::from_millis(200));
    assert!(filling.0 < FILLING_MAX, "while the backlog grew the healthy lane took {:?}", filling.0);
    for (when, (p99, _)) in [("behind it", standing), ("while it went", draining)] {
        assert!(p99 < usual * 5, "{when} the healthy lane took {p99:?}, alone {:?}", alone.0);
    }
}
