//! What sick endpoints do to healthy ones: many endpoints, a share of which hang, refuse, reset or drip, from the first
//! second of a cold start. Time from append to receipt at the healthy ones, beside the same run with nobody sick.
//!
//! ```text
//!   cargo bench --bench isolation                              1,000 endpoints, 200 events a second, one minute each
//!   SPOOLHOOK_BENCH_SMALL=1 cargo bench --bench isolation      50 endpoints for two seconds, to see that it works
//!   SPOOLHOOK_BENCH_ONLY=hang SPOOLHOOK_BENCH_SECONDS=20 cargo bench --bench isolation
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock by itself")]

#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;

use std::io;
use std::time::Duration;

use spoolhook::bench::{self, Cost, pause, quantile, trickle};
use support::engine;
use support::sink::{self, Sink};
use support::{is_small, set};

/// Of ten endpoints so many are sick.
const SICK_OF_TEN: u64 = 3;
/// How often those that are late are waited for; what does not come even then is missing in the table.
const LATE_LOOKS_MAX: u32 = 100;
/// Nobody listens there.
const REFUSED: &str = "127.0.0.1:9";

struct Size {
    endpoints: u64,
    per_second: u64,
    seconds: u64,
}

struct Run {
    events: u64,
    received: usize,
    p50_ms: f64,
    p99_ms: f64,
    worst_ms: f64,
    cost: Cost,
}

fn main() -> io::Result<()> {
    if std::env::args().any(|argument| argument == sink::ARGUMENT) {
        return sink::serve();
    }
    let mut size = match is_small() {
        true => Size { endpoints: 50, per_second: 50, seconds: 2 },
        false => Size { endpoints: 1_000, per_second: 200, seconds: 60 },
    };
    size.seconds = set("SPOOLHOOK_BENCH_SECONDS").unwrap_or(size.seconds);
    let only: Option<String> = set("SPOOLHOOK_BENCH_ONLY");
    let sink = Sink::start()?;
    println!(
        "{} endpoints, {} events a second, {} s each, from a cold start",
        size.endpoints, size.per_second, size.seconds
    );
    println!("three of ten    healthy  received  p50 ms  p99 ms  of well  worst ms  threads     MiB");
    for kind in ["hang", "refuse", "reset", "drip"] {
        if only.as_deref().is_some_and(|only| only != kind) {
            continue;
        }
        // Each beside a run of its own with nobody sick, since the machine changes.
        let well = measure(&sink, "well", &size)?;
        let sick = measure(&sink, kind, &size)?;
        for (kind, run) in [("well", &well), (kind, &sick)] {
            println!(
                "  {kind:<10} {:>10} {:>9} {:>7.1} {:>7.1} {:>8.2} {:>9.1} {:>8} {:>7.1}",
                run.events,
                run.received,
                run.p50_ms,
                run.p99_ms,
                run.p99_ms / well.p99_ms,
                run.worst_ms,
                run.cost.threads,
                run.cost.peak_kib as f64 / 1024.0
            );
        }
    }
    Ok(())
}

fn is_sick(endpoint: u64) -> bool {
    endpoint % 10 < SICK_OF_TEN
}

fn measure(sink: &Sink, kind: &str, size: &Size) -> io::Result<Run> {
    sink.ask("/reset")?;
    let subscription = |at: u64| {
        let address = sink.address;
        let url = match kind {
            _ if kind == "well" || !is_sick(at) => format!("http://{address}/hook/{at}"),
            "refuse" => format!("http://{REFUSED}/{at}"),
            sick => format!("http://{address}/{sick}/{at}"),
        };
        bench::subscription(&format!("e{at}"), &url, &format!("to.e{at}"))
    };
    let subscriptions: String = (0..size.endpoints).map(subscription).collect();
    let home = engine::home("timeout = \"10s\"", &subscriptions)?;
    let running = home.run(false)?;
    engine::wait_until_taken(&home, 0)?;
    let events = size.per_second * size.seconds;
    let endpoint = |number: u64| number % size.endpoints;
    trickle(&home.inbox(), events, size.per_second, true, |number, at_ns| {
        // The healthy ones alone are timed, in the run without sick ones too.
        let sent = (!is_sick(endpoint(number))).then_some(at_ns);
        Some(bench::event(&format!("to.e{}", endpoint(number)), number, 500, sent))
    })?;
    let healthy = (0..events).filter(|number| !is_sick(endpoint(*number))).count();
    let mut ages_ns = sink.ages_ns()?;
    for _ in 0..LATE_LOOKS_MAX {
        if ages_ns.len() >= healthy {
            break;
        }
        pause(Duration::from_millis(100));
        ages_ns = sink.ages_ns()?;
    }
    let (cost, _) = running.cost();
    running.kill()?;
    Ok(Run {
        events: healthy as u64,
        received: ages_ns.len(),
        p50_ms: quantile(&ages_ns, 0.5) / 1e6,
        p99_ms: quantile(&ages_ns, 0.99) / 1e6,
        worst_ms: ages_ns.last().map_or(f64::NAN, |ns| *ns as f64 / 1e6),
        cost,
    })
}
