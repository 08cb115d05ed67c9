//! The whole engine beside others that bring requests to the same receiver: clients without an engine, wrk, and syslog-ng
//! from a file through its disk buffer to HTTP. Deliveries per second, CPU time per delivery, memory, threads, and the
//! time from append to receipt.
//!
//! ```text
//!   cargo bench --bench compare                              five rounds of 100,000 requests
//!   SPOOLHOOK_BENCH_SMALL=1 cargo bench --bench compare      one round of 2,000, to see that it works
//!   SPOOLHOOK_BENCH_ONLY="wrk,at-least-once" SPOOLHOOK_BENCH_ROUNDS=2 cargo bench --bench compare
//! ```
//!
//! `SPOOLHOOK_BENCH_REQUESTS` sets how many requests a run has. wrk and syslog-ng take part where they are installed
//! (Debian: wrk, syslog-ng-core, syslog-ng-mod-http).
//!
//! Every contestant sends 500-byte bodies with the same headers over 32 connections to one sink process, in turns, so
//! that the ratios hold whatever else the machine does. Everything the engine promises is on: the spool and the journal
//! are synced to the disk that holds the target directory.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock by itself")]

mod clients;
#[allow(dead_code, reason = "each benchmark uses its part")]
#[path = "../support/mod.rs"]
mod support;
mod syslog_ng;
mod wrk;

use std::io;
use std::time::Duration;

use spoolhook::bench::{self, Cost, Home, median, own_cost, pause, quantile, trickle};
use support::engine;
use support::sink::{self, Sink};
use support::{is_small, set};

pub const CONNECTIONS: usize = 32;
const BODY_BYTES: usize = 500;
const LATENCY_PER_SECOND: [u64; 2] = [500, 1000];
/// How long the last deliveries may take to arrive.
const PATIENCE_LOOKS: u32 = 1000;

#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    requests: u64,
    latency_seconds: u64,
}

const FULL: Size = Size { rounds: 5, requests: 100_000, latency_seconds: 10 };
const SMALL: Size = Size { rounds: 1, requests: 2_000, latency_seconds: 1 };

/// Who sends.
const CONTESTANTS: [&str; 6] = ["bare sockets", "bare ureq", "wrk", "syslog-ng", "at-least-once", "at-most-once"];
const SOCKETS: usize = 0;
const UREQ: usize = 1;
const WRK: usize = 2;
const SYSLOG_NG: usize = 3;

/// One run of one contestant.
#[derive(Clone, Copy, Default)]
struct Run {
    requests: u64,
    per_second: f64,
    cost: Cost,
}

impl Run {
    fn cpu_us(&self) -> f64 {
        self.cost.cpu_seconds * 1e6 / self.requests as f64
    }
}

fn main() -> io::Result<()> {
    if std::env::args().any(|argument| argument == sink::ARGUMENT) {
        return sink::serve();
    }
    let mut size = if is_small() { SMALL } else { FULL };
    size.rounds = set("SPOOLHOOK_BENCH_ROUNDS").unwrap_or(size.rounds);
    size.requests = set("SPOOLHOOK_BENCH_REQUESTS").unwrap_or(size.requests);
    let only: Option<String> = set("SPOOLHOOK_BENCH_ONLY");
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name));
    let is_here = |name: &str| match name {
        "wrk" => wrk::is_installed(),
        "syslog-ng" => syslog_ng::is_installed(),
        _ => true,
    };

    let sink = Sink::start()?;
    let request = sample_request(&sink)?;
    println!("{} requests of {} bytes, {CONNECTIONS} connections", size.requests, request.len());
    let mut runs: [Vec<Run>; CONTESTANTS.len()] = Default::default();
    for name in CONTESTANTS.into_iter().filter(|name| wanted(name) && !is_here(name)) {
        println!("  {name} is not installed and takes no part");
    }
    for _ in 0..size.rounds {
        for (runs, name) in runs.iter_mut().zip(CONTESTANTS).filter(|(_, name)| wanted(name) && is_here(name)) {
            let run = match measure(name, &sink, &request, size.requests) {
                // A program of somebody else's that does not run here says nothing of ours.
                Err(error) if [CONTESTANTS[WRK], CONTESTANTS[SYSLOG_NG]].contains(&name) => {
                    println!("  {name} takes no part in this round: {error}");
                    continue;
                }
                run => run?,
            };
            println!("  {name:<14} {:>8.0}/s {:>7.1} us CPU", run.per_second, run.cpu_us());
            runs.push(run);
        }
    }
    report(&runs);
    if wanted("latency") {
        for per_second in LATENCY_PER_SECOND {
            latency(&sink, per_second, per_second * size.latency_seconds, true)?;
        }
        latency(&sink, LATENCY_PER_SECOND[0], LATENCY_PER_SECOND[0] * size.latency_seconds, false)?;
    }
    Ok(())
}

fn home(sink: &Sink, mode: &str) -> io::Result<Home> {
    let delivery = format!("mode = \"{mode}\"\nworkers = {CONNECTIONS}\nmax_in_flight = {CONNECTIONS}");
    engine::home(&delivery, &bench::subscription("bench", &format!("http://{}/hook", sink.address), "**"))
}

fn event(number: u64) -> String {
    bench::event("salesOrder.updated", number, BODY_BYTES, None)
}

/// The request that the engine makes of an event: what the others send too.
fn sample_request(sink: &Sink) -> io::Result<Vec<u8>> {
    sink.ask("/reset")?;
    let home = home(sink, "at-least-once")?;
    home.fill("bench", 1, event)?;
    home.run(true)?.finish()?;
    let request = sink.ask("/first")?;
    if request.is_empty() { Err(io::Error::other("the engine delivered nothing")) } else { Ok(request) }
}

fn measure(name: &str, sink: &Sink, request: &[u8], requests: u64) -> io::Result<Run> {
    sink.ask("/reset")?;
    let cost = match name {
        "bare sockets" => own_cost(|| clients::bare_sockets(sink.address, request, requests))?,
        "bare ureq" => own_cost(|| clients::bare_ureq(sink.address, request, requests))?,
        "wrk" => wrk::run(sink.address, request, requests)?,
        "syslog-ng" => syslog_ng::run(sink, request, requests)?,
        mode => {
            let home = home(sink, mode)?;
            home.fill("bench", requests, event)?;
            home.run(true)?.finish()?
        }
    };
    let (count, seconds) = sink.stats()?;
    // wrk goes by time, not by number.
    if count != requests && name != "wrk" {
        return Err(io::Error::other(format!("{name}: {count} requests arrived instead of {requests}")));
    }
    Ok(Run { requests: count, per_second: count as f64 / seconds, cost })
}

fn report(runs: &[Vec<Run>]) {
    let rate = |runs: &[Run]| median(runs.iter().map(|run| run.per_second).collect());
    println!("median            per second  of sockets  of ureq   of wrk  of syslog-ng  CPU us  peak MiB  threads");
    for (name, each) in CONTESTANTS.iter().zip(runs).filter(|(_, runs)| !runs.is_empty()) {
        let per_second = rate(each);
        let of = |other: usize| per_second / rate(&runs[other]);
        let cpu_us = median(each.iter().map(Run::cpu_us).collect());
        let peak_mib = median(each.iter().map(|run| run.cost.peak_kib as f64 / 1024.0).collect());
        let threads = each.iter().map(|run| run.cost.threads).max().unwrap_or(0);
        println!(
            "{name:<16} {per_second:>11.0} {:>11.3} {:>8.3} {:>8.3} {:>13.3} {cpu_us:>7.1} {peak_mib:>9.1} {threads:>8}",
            of(SOCKETS),
            of(UREQ),
            of(WRK),
            of(SYSLOG_NG)
        );
    }
}

/// The age of events at the receiver, appended one by one while the engine runs.
fn latency(sink: &Sink, per_second: u64, events: u64, is_kept_open: bool) -> io::Result<()> {
    sink.ask("/reset")?;
    let home = home(sink, "at-least-once")?;
    let running = home.run(false)?;
    engine::wait_until_taken(&home, 0)?;
    trickle(&home.inbox(), events, per_second, is_kept_open, |number, at_ns| {
        Some(bench::event("salesOrder.updated", number, BODY_BYTES, Some(at_ns)))
    })?;
    for _ in 0..PATIENCE_LOOKS {
        if sink.stats()?.0 >= events {
            break;
        }
        pause(Duration::from_millis(10));
    }
    let cost = running.stop()?;
    let ages_ns = sink.ages_ns()?;
    println!(
        "append to receipt at {per_second}/s, file {}, {} of {events}: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms; \
         {:.1} us CPU each, peak {:.1} MiB, {} threads",
        if is_kept_open { "kept open" } else { "opened each time" },
        ages_ns.len(),
        quantile(&ages_ns, 0.5) / 1e6,
        quantile(&ages_ns, 0.99) / 1e6,
        ages_ns.last().map_or(f64::NAN, |ns| *ns as f64 / 1e6),
        cost.cpu_seconds * 1e6 / events as f64,
        cost.peak_kib as f64 / 1024.0,
        cost.threads
    );
    Ok(())
}
