//! The delivery log over a long history: pages come quickly, first and last, and whatever the filter.
//!
//! `cargo test --release --test it long_history -- --ignored --nocapture`; `SPOOLHOOK_HISTORY_ATTEMPTS` sets the size.

use std::sync::Arc;
use std::time::Duration;

use spoolhook::env::{Clock, OsFiles, SystemClock};
use spoolhook::http::UnixClient;
use spoolhook::model::{
    Attempt, AttemptTrigger, Exchange, Extent, Filter, Outcome, Position, SegmentId, SubId, Timestamp, delivery_id,
};
use spoolhook::store::{DeliveryFacts, DeliveryKey, Origin, Record, State, Verdict};

use crate::support::{HEAD, Scenario, number};

const PAGE_MAX: Duration = Duration::from_millis(100);
const SAMPLES: usize = 100;
const BATCH: u64 = 5_000;

/// Writes a state in which so many events were taken in and delivered.
fn write_history(scenario: &Scenario, attempts: u64, now: Timestamp) {
    let (mut state, _) = State::open(Arc::new(OsFiles), &scenario.path("state"), now).unwrap();
    let (sub, segment) = (SubId(1), SegmentId::next(now, None, 1));
    let filter = Filter { tenant: "default".into(), events: vec!["**".into()], condition: None };
    let (tenant, name) = ("default".to_owned(), "a".to_owned());
    let subscribed = Record::Subscribed { sub, tenant, name, filter, from_seq: 1, matched: 0, at: now };
    state.commit(&[Record::Started { at: now, barrier: None }, subscribed]).unwrap();
    for first in (1..=attempts).step_by(BATCH as usize) {
        let count = BATCH.min(attempts + 1 - first);
        let extent = Extent {
            segment,
            start: first * 100,
            end: (first + count) * 100,
            first_seq: first,
            events: count as u32,
            blank: 0,
            quarantined: 0,
            seen: now,
        };
        let mut records = vec![Record::Taken { extent, matched: vec![(sub, count as u32)], unmatched: 0 }];
        for seq in first..first + count {
            let position = Position { segment, offset: seq * 100 };
            records.push(Record::Attempted {
                key: DeliveryKey { sub, seq, replay: 0 },
                origin: Origin::Log,
                facts: DeliveryFacts {
                    delivery: delivery_id(position, "default", "a", 0).0.into_bytes(),
                    position,
                    seen: now,
                    event_id: format!("{segment}-{}", seq * 100).into(),
                    event_type: "invoice.paid".into(),
                    order: None,
                },
                attempt: Attempt {
                    number: 1,
                    started: now,
                    duration_ms: 12,
                    trigger: AttemptTrigger::First,
                    outcome: Outcome::Success,
                    exchange: Exchange {
                        status_code: Some(200),
                        response_headers: vec![("content-type".into(), "text/plain".into())],
                        response_body: b"ok".to_vec(),
                        error: String::new(),
                        request_bytes: 512,
                        remote_address: "10.0.0.7:443".into(),
                    },
                },
                verdict: Verdict::Delivered,
                base: 0,
                replay_of: None,
                from: seq,
                low: seq + 1,
            });
        }
        state.commit(&records).unwrap();
    }
    state.commit(&[Record::Purged { segment, at: now }]).unwrap();
    state.checkpoint().unwrap();
}

#[test]
#[ignore = "a million attempts take a while to write"]
fn pages_of_a_long_history_come_quickly() {
    let attempts = number("SPOOLHOOK_HISTORY_ATTEMPTS", 1_000_000);
    let clock = SystemClock::new();
    let config = format!(
        "{HEAD}\n[[subscription]]\nname = \"a\"\nurl = \"http://127.0.0.1:9/a\"\nevents = [\"**\"]\ndialect = \"cloudevents\"\n"
    );
    let scenario = Scenario::new(&config);
    write_history(&scenario, attempts, clock.now());
    let mut engine = scenario.engine();
    engine.ready();
    let client = UnixClient::new(scenario.path("state/spoolhook.sock"));
    let middle = format!("/v1/deliveries?cursor=r{}", attempts / 2);
    let mut slow = Vec::new();
    for (what, path) in [
        ("first", "/v1/deliveries"),
        ("last", "/v1/deliveries?cursor=r60"),
        ("middle", &middle),
        ("nothing fits", "/v1/deliveries?event_id=none"),
        ("no such status", "/v1/deliveries?status=failed&limit=200"),
    ] {
        let mut times: Vec<Duration> = (0..SAMPLES)
            .map(|_| {
                let asked = clock.monotonic();
                assert_eq!(client.request("GET", path, None).unwrap().0, 200);
                clock.monotonic() - asked
            })
            .collect();
        times.sort();
        let p99 = times[SAMPLES * 99 / 100];
        println!("{what}: p50 {:?}, p99 {p99:?}", times[SAMPLES / 2]);
        if p99 > PAGE_MAX {
            slow.push(format!("{what}: {p99:?}"));
        }
    }
    assert_eq!(slow, Vec::<String>::new());
}
