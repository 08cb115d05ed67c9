//! A great many events, three consumers, a log of somebody else's, retention and a kill: no gap and no repeat.
//!
//! `SPOOLHOOK_POLL_EVENTS` sets the size. `cargo test --release --test it poll::great -- --nocapture` prints the figures.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::api::Api;
use crate::support::{HEAD, Scenario, Sink, number, pause, wait_until};

/// Events in one file of the spool.
const FILE: u64 = 1000;
/// Files that the slowest consumer may be behind when the next is written.
const AHEAD: u64 = 4;
/// Every so many events one is for the subscription.
const TAKEN: u64 = 50;

/// Retention keeps what the slowest may still want, and the copy of the log, which goes to the archive as one file.
fn config(sink: &Sink, total: u64) -> String {
    let kib = 2048 + total * 60 / 1024;
    let spool = format!("retention = {{ size = \"{kib}KiB\" }}\n[[log]]\ndir = \"erp\"\n[state]");
    let head = HEAD.replace("[state]", &spool);
    format!(
        r#"{head}
[dialect.plain]
body = '{{"event":{{{{id}}}}}}'
headers = {{ X-Delivery-Id = "{{{{id}}}}" }}
[[subscription]]
name = "some"
url = "http://{}/some"
dialect = "plain"
events = ["some.*"]
retry = "none"
"#,
        sink.addr()
    )
}

/// One consumer: what it has seen, and what was wrong with it.
#[derive(Default)]
struct Consumer {
    query: &'static str,
    seen: AtomicU64,
    pages: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Consumer {
    /// Polls until `wanted` of `total` events are there, or something is wrong.
    fn run(&self, api: &Api, start: &str, (total, wanted): (u64, u64), stop: &AtomicBool) {
        let mut cursor = start.to_owned();
        let mut taken = vec![false; usize::try_from(total).expect("fits")];
        let mut last = 0;
        while self.seen.load(Ordering::SeqCst) < wanted && !stop.load(Ordering::SeqCst) {
            let path = format!("/v1/events?{}&wait=2s&after={cursor}", self.query);
            // A kill takes the answer along, and the same page is asked for again.
            let Some(answer) = api.call("GET", &path, &[], b"") else {
                pause(Duration::from_millis(20));
                continue;
            };
            if answer.status == 503 {
                pause(Duration::from_millis(20));
                continue;
            }
            if answer.status != 200 {
                return self.fault(format!("{} {}", answer.status, answer.text), stop);
            }
            let page = answer.json();
            for event in page["data"].as_array().expect("a list") {
                let seq = event["seq"].as_u64().expect("a number");
                let n = usize::try_from(event["data"]["n"].as_u64().expect("a number")).expect("fits");
                let Some(slot) = taken.get_mut(n).filter(|taken| !**taken) else {
                    return self.fault(format!("event {n} came twice"), stop);
                };
                *slot = true;
                let follows =
                    if wanted == total { seq == last + 1 } else { seq > last && !event["delivery"]["id"].is_null() };
                if !follows {
                    return self.fault(format!("{event} came after {last}"), stop);
                }
                last = seq;
            }
            self.pages.fetch_add(1, Ordering::SeqCst);
            self.seen.fetch_add(page["data"].as_array().map_or(0, Vec::len) as u64, Ordering::SeqCst);
            cursor = page["next_cursor"].as_str().expect("always there").to_owned();
        }
    }

    fn fault(&self, what: String, stop: &AtomicBool) {
        self.faults.lock().expect("no panic").push(format!("{}: {what}", self.query));
        stop.store(true, Ordering::SeqCst);
    }
}

fn line(n: u64) -> String {
    let kind = if n.is_multiple_of(TAKEN) { "some.thing" } else { "bulk.thing" };
    format!("{{\"type\":\"{kind}\",\"id\":\"e-{n}\",\"data\":{{\"n\":{n},\"note\":\"{:0>120}\"}}}}\n", n * 7)
}

#[test]
fn three_consumers_see_everything_once() {
    let total = number("SPOOLHOOK_POLL_EVENTS", 40_000) / FILE * FILE;
    let sink = Sink::start(|_, _, _| 200);
    let scenario = Scenario::new(&config(&sink, total));
    std::fs::create_dir(scenario.path("erp")).unwrap();
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let start = api.get("/v1/events").expect(200)["next_cursor"].as_str().unwrap().to_owned();
    let consumers = [
        (Consumer { query: "limit=1000", ..Consumer::default() }, total),
        (Consumer { query: "limit=130", ..Consumer::default() }, total),
        (Consumer { query: "subscription=some&limit=1000", ..Consumer::default() }, total / TAKEN),
    ];
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for (consumer, wanted) in &consumers {
            let (api, start, stop) = (&api, &start, &stop);
            scope.spawn(move || consumer.run(api, start, (total, *wanted), stop));
        }
        let mut log = File::options().create(true).append(true).open(scenario.path("erp/erp.ndjson")).unwrap();
        for file in 0..total / FILE {
            let text: String = (file * FILE..(file + 1) * FILE).map(line).collect();
            // Every fourth comes through the log of somebody else.
            if file % 4 == 3 {
                log.write_all(text.as_bytes()).unwrap();
            } else {
                let (draft, place) = (scenario.path("spool/tmp/f"), scenario.path(format!("spool/in/f{file}.ndjson")));
                std::fs::write(&draft, text).unwrap();
                std::fs::rename(draft, place).unwrap();
            }
            if file == total / FILE / 2 {
                engine.kill();
                engine = scenario.engine();
                engine.ready();
            }
            let slowest = || {
                let seen = |(consumer, wanted): &(Consumer, u64)| {
                    consumer.seen.load(Ordering::SeqCst) * (total / *wanted) + if *wanted < total { TAKEN } else { 0 }
                };
                consumers.iter().map(seen).min().unwrap_or(0)
            };
            let waited = Instant::now();
            while slowest() + AHEAD * FILE < (file + 1) * FILE && !stop.load(Ordering::SeqCst) {
                pause(Duration::from_millis(2));
                if waited.elapsed() > Duration::from_secs(60) {
                    consumers[0].0.fault(format!("stuck at {}", slowest()), &stop);
                }
            }
        }
    });
    let faults: Vec<_> = consumers.iter().flat_map(|(consumer, _)| consumer.faults.lock().unwrap().clone()).collect();
    assert_eq!(faults, Vec::<String>::new(), "\n{}", scenario.log());
    for (consumer, wanted) in &consumers {
        assert_eq!(consumer.seen.load(Ordering::SeqCst), *wanted, "{}", consumer.query);
    }
    let mut gone = api.get(&format!("/v1/events?after={start}"));
    let is_gone = wait_until(Duration::from_secs(20), || {
        gone = api.get(&format!("/v1/events?after={start}&limit=1"));
        gone.status == 410
    });
    assert!(total < 40_000 || is_gone, "retention was at work: {gone:?}");
    let seconds = begun.elapsed().as_secs_f64();
    let pages: Vec<_> = consumers.iter().map(|(consumer, _)| consumer.pages.load(Ordering::SeqCst)).collect();
    println!("{total} events to 3 consumers in {seconds:.1} s, pages {pages:?}, lost to the late: {}", gone.text);
}
