//! The delivery log over a long history: how long pages take, first and last, and with filters that take little.
//!
//! ```text
//!   cargo bench --bench history                              1,000,000 attempts, 100 requests of each kind
//!   SPOOLHOOK_BENCH_SMALL=1 cargo bench --bench history      10,000, to see that it works
//!   SPOOLHOOK_BENCH_REQUESTS=100000 cargo bench --bench history
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "support/mod.rs"]
mod support;

use std::error::Error;
use std::path::Path;

use std::sync::Arc;

use spoolhook::env::{Clock, OsFiles, SystemClock};
use spoolhook::http::UnixClient;
use spoolhook::model::{
    Attempt, AttemptTrigger, Exchange, Extent, Filter, Outcome, Position, SegmentId, SubId, Timestamp, delivery_id,
};
use spoolhook::store::{DeliveryFacts, DeliveryKey, Origin, Record, State, Verdict};

use support::{engine, is_small, set};

const SAMPLES: usize = 100;
const BATCH: u64 = 5_000;

/// Writes a state in which so many events were taken in and delivered.
fn write_history(home: &Path, attempts: u64, now: Timestamp) -> Result<(), Box<dyn Error>> {
    let (mut state, _) = State::open(Arc::new(OsFiles), &home.join("state"), now)?;
    let (sub, segment) = (SubId(1), SegmentId::next(now, None, 1));
    let filter = Filter { tenant: "default".into(), events: vec!["**".into()], condition: None };
    let (tenant, name) = ("default".to_owned(), "a".to_owned());
    let subscribed = Record::Subscribed { sub, tenant, name, filter, from_seq: 1, matched: 0, at: now };
    state.commit(&[Record::Started { at: now, barrier: None }, subscribed])?;
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
        state.commit(&records)?;
    }
    state.commit(&[Record::Purged { segment, at: now }])?;
    state.checkpoint()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (attempts, samples) = if is_small() { (10_000, 10) } else { (1_000_000, SAMPLES) };
    let attempts = set("SPOOLHOOK_BENCH_REQUESTS").unwrap_or(attempts);
    let clock = SystemClock::new();
    let subscription = spoolhook::bench::subscription("a", "http://127.0.0.1:9/a", "**");
    let home = engine::home("", &subscription)?;
    write_history(home.as_ref(), attempts, clock.now())?;
    let running = home.run(false)?;
    engine::wait_until_taken(&home, attempts)?;
    // A socket's path has to be short.
    std::env::set_current_dir(&home)?;
    let client = UnixClient::new("state/spoolhook.sock");
    println!("{:<44} {:>10} {:>10}", format!("{attempts} attempts, ms"), "p50", "p99");
    for (what, query) in [
        ("first page", String::new()),
        ("last page", "?cursor=r60".to_owned()),
        ("from the middle on", format!("?cursor=r{}", attempts / 2)),
        ("an event that is not there (all is read)", "?event_id=none".to_owned()),
        ("a status that none has (all is read)", "?status=failed&limit=200".to_owned()),
    ] {
        let mut times = Vec::with_capacity(samples);
        for _ in 0..samples {
            let asked = clock.monotonic();
            let (status, body) = client.request("GET", &format!("/v1/deliveries{query}"), None)?;
            times.push(clock.monotonic() - asked);
            if status != 200 {
                return Err(format!("{what}: {status}: {}", String::from_utf8_lossy(&body)).into());
            }
        }
        times.sort();
        let ms = |at: usize| times[samples * at / 100].as_secs_f64() * 1e3;
        println!("  {what:<42} {:>10.1} {:>10.1}", ms(50), ms(99));
    }
    running.kill()?;
    Ok(())
}
