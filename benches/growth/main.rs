//! How the cost of a delivery grows: with endpoints, subscriptions, size of payload, backlog and fan-out. Deliveries per
//! second, CPU time per delivery and memory of the whole engine, against one receiver.
//!
//! ```text
//!   cargo bench --bench growth                              three rounds of 40,000 deliveries
//!   SPOOLHOOK_BENCH_SMALL=1 cargo bench --bench growth      one round of 1,000, to see that it works
//!   SPOOLHOOK_BENCH_ONLY=endpoints SPOOLHOOK_BENCH_ROUNDS=5 cargo bench --bench growth
//! ```
//!
//! The cases of a table alternate, and every one is given as a ratio to the first.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock by itself")]

#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;

use std::io;
use std::time::Duration;

use spoolhook::bench::{self, median, pause};
use support::engine;
use support::sink::{self, Sink};
use support::{is_small, set};

/// What the engine is given to do.
struct Case {
    label: String,
    subscriptions: String,
    /// Number of event -> its line.
    line: Box<dyn Fn(u64) -> String>,
    events: u64,
    deliveries: u64,
    /// Events behind an endpoint that is not there, taken in before the rest.
    backlog: u64,
}

#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    cpu_us: f64,
    mib: f64,
}

fn main() -> io::Result<()> {
    if std::env::args().any(|argument| argument == sink::ARGUMENT) {
        return sink::serve();
    }
    let (rounds, deliveries, backlog) = if is_small() { (1, 1_000, 10_000) } else { (3, 40_000, 1_000_000) };
    let rounds = set("SPOOLHOOK_BENCH_ROUNDS").unwrap_or(rounds);
    let deliveries = set("SPOOLHOOK_BENCH_REQUESTS").unwrap_or(deliveries);
    let only: Option<String> = set("SPOOLHOOK_BENCH_ONLY");
    let sink = Sink::start()?;
    let tables: [(&str, Vec<Case>); 5] = [
        ("endpoints", [1, 100, 1_000].map(|count| endpoints(&sink, count, deliveries)).into()),
        ("subscriptions", [10, 100, 10_000].map(|count| subscriptions(&sink, count, deliveries)).into()),
        ("payload", [200, 2_000, 20_000, 200_000].map(|bytes| payload(&sink, bytes, deliveries)).into()),
        ("fan-out", [1, 10, 1_000].map(|count| fan_out(&sink, count, deliveries)).into()),
        ("backlog", [0, backlog].map(|count| behind(&sink, count, deliveries)).into()),
    ];
    for (name, cases) in tables.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)) {
        let mut runs = vec![Vec::new(); cases.len()];
        for _ in 0..rounds {
            for (runs, case) in runs.iter_mut().zip(cases) {
                runs.push(measure(&sink, case)?);
            }
        }
        report(name, cases, &runs);
    }
    Ok(())
}

fn url(sink: &Sink, path: &str) -> String {
    format!("http://{}/hook/{path}", sink.address)
}

fn event(event_type: &str, number: u64) -> String {
    bench::event(event_type, number, 500, None)
}

/// Each event goes to one of `count` endpoints, in turns.
fn endpoints(sink: &Sink, count: u64, deliveries: u64) -> Case {
    let subscription =
        |at: u64| bench::subscription(&format!("e{at}"), &url(sink, &at.to_string()), &format!("to.e{at}"));
    Case {
        label: format!("{count} endpoints"),
        subscriptions: (0..count).map(subscription).collect(),
        line: Box::new(move |number| event(&format!("to.e{}", number % count), number)),
        events: deliveries,
        deliveries,
        backlog: 0,
    }
}

/// Of `count` subscriptions ten take the events.
fn subscriptions(sink: &Sink, count: u64, deliveries: u64) -> Case {
    let subscription = |at: u64| {
        let events = if at < 10 { "order.*".to_owned() } else { format!("other{at}.changed") };
        bench::subscription(&format!("s{at}"), &url(sink, &at.to_string()), &events)
    };
    Case {
        label: format!("10 of {count} subscriptions"),
        subscriptions: (0..count).map(subscription).collect(),
        line: Box::new(|number| event("order.updated", number)),
        events: deliveries / 10,
        deliveries: deliveries / 10 * 10,
        backlog: 0,
    }
}

fn payload(sink: &Sink, bytes: usize, deliveries: u64) -> Case {
    // Large ones are fewer, or the disk is what is measured.
    let events = deliveries.min(400_000_000 / bytes as u64 / 2);
    Case {
        label: format!("{} KB", bytes as f64 / 1000.0),
        subscriptions: bench::subscription("one", &url(sink, "one"), "**"),
        line: Box::new(move |number| bench::event("order.updated", number, bytes, None)),
        events,
        deliveries: events,
        backlog: 0,
    }
}

/// Each event goes to `count` endpoints.
fn fan_out(sink: &Sink, count: u64, deliveries: u64) -> Case {
    let subscription = |at: u64| bench::subscription(&format!("f{at}"), &url(sink, &at.to_string()), "order.*");
    let events = (deliveries / count).max(1);
    Case {
        label: format!("fan-out {count}"),
        subscriptions: (0..count).map(subscription).collect(),
        line: Box::new(|number| event("order.updated", number)),
        events,
        deliveries: events * count,
        backlog: 0,
    }
}

/// While another endpoint, which refuses connections, is `backlog` events behind.
fn behind(sink: &Sink, backlog: u64, deliveries: u64) -> Case {
    let dead = bench::subscription("dead", "http://127.0.0.1:9/dead", "dead.*");
    Case {
        label: format!("backlog of {backlog}"),
        subscriptions: bench::subscription("live", &url(sink, "live"), "live.*") + &dead,
        line: Box::new(|number| event("live.updated", number)),
        events: deliveries,
        deliveries,
        backlog,
    }
}

fn measure(sink: &Sink, case: &Case) -> io::Result<Run> {
    sink.ask("/reset")?;
    let home = engine::home("workers = 512\nmax_in_flight = 32", &case.subscriptions)?;
    if case.backlog > 0 {
        home.fill("backlog", case.backlog, |number| event("dead.updated", number))?;
    }
    let running = home.run(false)?;
    engine::wait_until_taken(&home, case.backlog)?;
    // Attempts at the dead endpoint come and go; what they cost is the same with and without a backlog.
    let before = running.cost().0;
    home.fill("live", case.events, &case.line)?;
    let mut arrived = 0;
    while arrived < case.deliveries {
        pause(Duration::from_millis(20));
        let (count, _) = sink.stats()?;
        if count == arrived && running.cost().1 {
            return Err(io::Error::other(format!("{}: the engine ended", case.label)));
        }
        arrived = count;
    }
    let after = running.cost().0;
    let (count, seconds) = sink.stats()?;
    running.stop()?;
    Ok(Run {
        per_second: count as f64 / seconds,
        cpu_us: (after.cpu_seconds - before.cpu_seconds) * 1e6 / count as f64,
        mib: after.kib as f64 / 1024.0,
    })
}

fn report(name: &str, cases: &[Case], runs: &[Vec<Run>]) {
    println!("{name:<28} per second  of first  CPU us  of first     MiB");
    let middle = |runs: &[Run], value: fn(&Run) -> f64| median(runs.iter().map(value).collect());
    let rate = |runs: &[Run]| middle(runs, |run| run.per_second);
    let cpu_us = |runs: &[Run]| middle(runs, |run| run.cpu_us);
    for (case, each) in cases.iter().zip(runs) {
        println!(
            "  {:<26} {:>10.0} {:>9.2} {:>7.1} {:>9.2} {:>7.1}",
            case.label,
            rate(each),
            rate(each) / rate(&runs[0]),
            cpu_us(each),
            cpu_us(each) / cpu_us(&runs[0]),
            middle(each, |run| run.mib)
        );
    }
}
