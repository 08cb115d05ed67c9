//! Runs the simulation: short with the other tests, long by hand.
//!
//! `SPOOLHOOK_SIM_SEEDS` seeds of about `SPOOLHOOK_SIM_STEPS` steps, from `SPOOLHOOK_SIM_FROM` on. A failure prints its seed
//! and the steps it comes down to. With `SPOOLHOOK_SIM_MISTAKE_SEEDS=3000` the rare mistakes are looked for as well.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::mistakes::Mistake;
use super::script::draw;
use super::shrink::{run_seed, shrink};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

const STEPS: usize = 60;
/// Failing seeds that are told of.
const FAILURES: usize = 8;

fn steps() -> usize {
    usize::try_from(number("SPOOLHOOK_SIM_STEPS", STEPS as u64)).unwrap_or(STEPS)
}

/// A failing seed, told in as few steps as it takes.
fn tell(seed: u64, length: usize, mistake: Option<Mistake>, violation: &str) -> String {
    let (setting, steps) = draw(seed, length);
    let (left, reason) = shrink(setting, &steps, mistake);
    let kinds: Vec<_> = left.iter().map(|step| format!("{:?}({:x})", step.kind, step.seed)).collect();
    format!("seed {seed}: {violation}\n  in {} steps: {reason}\n  {setting:?}\n  {}", left.len(), kinds.join(" "))
}

/// Every state that must have been visited for a clean run to mean anything.
const MUST_REACH: [&str; 31] = [
    "attempt repeated after a crash",
    "cancelled",
    "claim released",
    "delivered at once",
    "delivered by a retry",
    "died",
    "died in a request",
    "died while starting",
    "did not start in trouble",
    "disk full",
    "ended without an attempt",
    "failed",
    "forgotten with the history",
    "history pruned",
    "killed",
    "order changed",
    "paused",
    "power cut",
    "reloaded",
    "replayed as a new delivery",
    "retries exhausted",
    "retriggered",
    "segment purged",
    "state lost",
    "stopped cleanly",
    "stopped in doubt",
    "subscription removed",
    "superseded",
    "unknown made",
    "view rebuilt",
    "withdrawn",
];

#[test]
fn no_promise_is_broken_on_any_seed() {
    let (from, count) = (number("SPOOLHOOK_SIM_FROM", 1), number("SPOOLHOOK_SIM_SEEDS", 300));
    let next = Arc::new(AtomicU64::new(from));
    let results = Arc::new(Mutex::new((0usize, BTreeMap::<&'static str, u64>::new(), Vec::new())));
    let threads: Vec<_> = (0..std::thread::available_parallelism().map_or(1, usize::from))
        .map(|_| {
            let (next, results) = (next.clone(), results.clone());
            std::thread::spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count || results.lock().unwrap().2.len() >= FAILURES {
                        return;
                    }
                    let outcome = run_seed(seed, steps(), None);
                    let failure = outcome.violation.map(|violation| tell(seed, steps(), None, &violation));
                    let mut results = results.lock().unwrap();
                    results.0 += outcome.steps;
                    outcome.reached.into_iter().for_each(|(what, times)| *results.1.entry(what).or_default() += times);
                    results.2.extend(failure);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let results = results.lock().unwrap();
    let (taken, reached, failures) = &*results;
    let text = format!("{count} seeds from {from}, {taken} steps; reached {reached:#?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let missed: Vec<_> = MUST_REACH.iter().filter(|what| !reached.contains_key(*what)).collect();
    assert!(missed.is_empty(), "{missed:?} were never reached; {text}");
    if std::env::var_os("SPOOLHOOK_SIM_SEEDS").is_some() {
        std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
    }
}

/// Seeds in which a mistake must be noticed that is not a rare one.
const MISTAKE_SEEDS: u64 = 100;

#[test]
fn every_deliberate_mistake_is_noticed() {
    let most = number("SPOOLHOOK_SIM_MISTAKE_SEEDS", MISTAKE_SEEDS);
    let mut unnoticed = Vec::new();
    for mistake in Mistake::ALL.into_iter().filter(|mistake| most > MISTAKE_SEEDS || !mistake.is_rare()) {
        let noticed = |seed| {
            let violation = run_seed(seed, STEPS, Some(mistake)).violation?;
            // What the right engine also does would not be the mistake's doing.
            run_seed(seed, STEPS, None).violation.is_none().then_some((seed, violation))
        };
        let found = (1..=most).find_map(noticed);
        match found {
            Some((seed, violation)) => {
                let told = format!("{mistake:?}: noticed by seed {seed}: {violation}\n");
                std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes()).unwrap();
            }
            None => unnoticed.push(mistake),
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:?} went unnoticed in {most} seeds");
}

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in 1..20 {
        let [first, second] = [(); 2].map(|()| run_seed(seed, STEPS, None));
        assert_eq!(first, second, "seed {seed}");
    }
}
