//! The whole engine against the same receiver, beside clients without an engine: deliveries per second and CPU time per
//! delivery, memory, threads, and the time from append to receipt.
//!
//! ```text
//!   cargo bench --bench end_to_end                              five rounds of 100,000 requests
//!   SPOOLHOOK_BENCH_SMALL=1 cargo bench --bench end_to_end      one round of 2,000, to see that it works
//!   SPOOLHOOK_BENCH_ONLY="bare ureq,at-least-once" SPOOLHOOK_BENCH_ROUNDS=2 cargo bench ...
//! ```
//!
//! `SPOOLHOOK_BENCH_REQUESTS` sets how many requests a run has.
//!
//! Every contestant sends 500-byte bodies with the same headers over 32 connections to one sink process, in turns, so
//! that the ratios hold whatever else the machine does. Everything the engine promises is on: the spool and the journal
//! are synced to the disk that holds the target directory.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock by itself")]

mod clients;
mod engine;
mod sink;

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine::Home;
use sink::Sink;

pub const CONNECTIONS: usize = 32;
const LATENCY_PER_SECOND: u64 = 500;
/// How long the last deliveries may take to arrive.
const PATIENCE_LOOKS: u32 = 1000;

#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    requests: u64,
    latency_events: u64,
}

const FULL: Size = Size { rounds: 5, requests: 100_000, latency_events: 5_000 };
const SMALL: Size = Size { rounds: 1, requests: 2_000, latency_events: 250 };

/// Who sends.
const CONTESTANTS: [&str; 4] = ["bare sockets", "bare ureq", "at-least-once", "at-most-once"];

/// One run of one contestant.
#[derive(Clone, Copy, Default)]
struct Run {
    per_second: f64,
    cost: engine::Cost,
}

pub fn now_ns() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

fn main() -> io::Result<()> {
    if std::env::args().any(|argument| argument == sink::ARGUMENT) {
        return sink::serve();
    }
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut size = if set("SPOOLHOOK_BENCH_SMALL").is_some() { SMALL } else { FULL };
    size.rounds = set("SPOOLHOOK_BENCH_ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(size.rounds);
    size.requests = set("SPOOLHOOK_BENCH_REQUESTS").and_then(|count| count.parse().ok()).unwrap_or(size.requests);
    let only = set("SPOOLHOOK_BENCH_ONLY");
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name));

    let sink = Sink::start()?;
    let request = sample_request(&sink)?;
    println!("{} requests of {} bytes, {CONNECTIONS} connections", size.requests, request.len());
    let mut runs: [Vec<Run>; CONTESTANTS.len()] = Default::default();
    for _ in 0..size.rounds {
        for (runs, name) in runs.iter_mut().zip(CONTESTANTS).filter(|(_, name)| wanted(name)) {
            let run = measure(name, &sink, &request, size.requests)?;
            println!("  {name:<14} {:>8.0}/s {:>7.1} us CPU", run.per_second, cpu_us(&run, size.requests));
            runs.push(run);
        }
    }
    report(&runs, size.requests);
    if wanted("latency") {
        latency(&sink, size.latency_events, true)?;
        latency(&sink, size.latency_events, false)?;
    }
    Ok(())
}

/// The request that the engine makes of an event: what the others send too.
fn sample_request(sink: &Sink) -> io::Result<Vec<u8>> {
    sink.ask("/reset")?;
    let home = Home::new(sink.address, "at-least-once")?;
    home.fill(1)?;
    home.run(true)?.finish()?;
    let request = sink.ask("/first")?;
    if request.is_empty() { Err(io::Error::other("the engine delivered nothing")) } else { Ok(request) }
}

fn measure(name: &str, sink: &Sink, request: &[u8], requests: u64) -> io::Result<Run> {
    sink.ask("/reset")?;
    let cost = match name {
        "bare sockets" => engine::own_cost(|| clients::bare_sockets(sink.address, request, requests))?,
        "bare ureq" => engine::own_cost(|| clients::bare_ureq(sink.address, request, requests))?,
        mode => {
            let home = Home::new(sink.address, mode)?;
            home.fill(requests)?;
            home.run(true)?.finish()?
        }
    };
    let (count, seconds) = sink.stats()?;
    if count != requests {
        return Err(io::Error::other(format!("{name}: {count} requests arrived instead of {requests}")));
    }
    Ok(Run { per_second: count as f64 / seconds, cost })
}

fn cpu_us(run: &Run, requests: u64) -> f64 {
    run.cost.cpu_seconds * 1e6 / requests as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(runs: &[Vec<Run>], requests: u64) {
    let rate = |runs: &[Run]| median(runs.iter().map(|run| run.per_second).collect());
    let (sockets, ureq) = (rate(&runs[0]), rate(&runs[1]));
    println!("median            per second  of sockets  of ureq  CPU us  peak MiB  threads");
    for (name, runs) in CONTESTANTS.iter().zip(runs).filter(|(_, runs)| !runs.is_empty()) {
        let per_second = rate(runs);
        let cpu = median(runs.iter().map(|run| cpu_us(run, requests)).collect());
        let peak_mib = median(runs.iter().map(|run| run.cost.peak_kib as f64 / 1024.0).collect());
        let threads = runs.iter().map(|run| run.cost.threads).max().unwrap_or(0);
        let (of_sockets, of_ureq) = (per_second / sockets, per_second / ureq);
        println!(
            "{name:<16} {per_second:>11.0} {of_sockets:>11.3} {of_ureq:>8.3} {cpu:>7.1} {peak_mib:>9.1} {threads:>8}"
        );
    }
}

/// The age of events at the receiver, appended one by one while the engine runs.
fn latency(sink: &Sink, events: u64, is_kept_open: bool) -> io::Result<()> {
    sink.ask("/reset")?;
    let home = Home::new(sink.address, "at-least-once")?;
    let engine = home.run(false)?;
    engine::pause(Duration::from_millis(500));
    engine::trickle(&home.inbox(), events, LATENCY_PER_SECOND, is_kept_open)?;
    for _ in 0..PATIENCE_LOOKS {
        if sink.stats()?.0 >= events {
            break;
        }
        engine::pause(Duration::from_millis(10));
    }
    let cost = engine.stop()?;
    let mut ages: Vec<u64> = String::from_utf8_lossy(&sink.ask("/ages")?).lines().flat_map(str::parse).collect();
    ages.sort_unstable();
    let at = |share: f64| ages.get((ages.len() as f64 * share) as usize).map_or(f64::NAN, |ns| *ns as f64 / 1e6);
    println!(
        "append to receipt at {LATENCY_PER_SECOND}/s, file {}, {} of {events}: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms; \
         {:.1} us CPU each, peak {:.1} MiB, {} threads",
        if is_kept_open { "kept open" } else { "opened each time" },
        ages.len(),
        at(0.5),
        at(0.99),
        at(0.999_999),
        cost.cpu_seconds * 1e6 / events as f64,
        cost.peak_kib as f64 / 1024.0,
        cost.threads
    );
    Ok(())
}
