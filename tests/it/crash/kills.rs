//! Seven kinds of producers write while the engine is killed again and again. Nothing is lost, nothing that must be sent
//! once is sent twice, what is sent twice is the same and not much, and the books agree with what really arrived.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use spoolhook::env::{Clock, SystemClock};

use super::judge::{Findings, Written, audit, books_of, judge};
use super::producers::Producers;
use super::world::{SURE, Setup, World, decide, seeded};
use crate::support::{Engine, Sink, number, pause, wait_until};

/// Longest time in which nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(120);
/// Audits made while the kills go on, about.
const AUDITS: usize = 20;

/// The parts of the work after which the engine is killed: as many as there are kills, in order.
fn moments(kills: usize, parts: usize, random: &mut fastrand::Rng) -> Vec<usize> {
    let mut moments: Vec<usize> = (0..kills).map(|_| random.usize(1..=parts)).collect();
    moments.sort_unstable();
    moments
}

/// Kills the engine at a random moment, often while it is still starting, and starts the next one at once.
fn crash(world: &mut World, engine: &mut Engine, random: &mut fastrand::Rng) {
    let upto_ms = [50, 300, 300, 700][random.usize(..4)];
    pause(Duration::from_micros(random.u64(0..upto_ms * 1000)));
    engine.kill();
    *engine = world.engine();
}

#[test]
fn kills_lose_nothing_and_send_nothing_twice_that_must_not_be() {
    let (events, kills) = (number("SPOOLHOOK_CRASH_EVENTS", 7_000), number("SPOOLHOOK_CRASH_KILLS", 5));
    let (events, kills) = (events as usize, kills as usize);
    let clock = SystemClock::new();
    let (_, mut random) = seeded();
    let retention = if random.bool() { "2s" } else { "24h" };

    let sink = Sink::start(decide);
    let mut world = World::new(&sink, Setup { retention, ..Setup::default() });
    std::fs::create_dir(world.path("log")).unwrap();
    let mut engine = world.engine();
    engine.ready();
    let mut producers = Producers::start(events, &world.path("spool"), &world.path("log"));
    let written: BTreeSet<String> = producers.events().collect();

    let parts = kills * 4;
    let audit_every = (parts / AUDITS).max(7);
    let mut kill_after = moments(kills, parts, &mut random).into_iter().peekable();
    for part in 1..=parts {
        let ordered = producers.order(part, parts);
        while kill_after.next_if(|after| *after <= part).is_some() {
            crash(&mut world, &mut engine, &mut random);
        }
        if part % audit_every == 0 {
            engine.ready();
            audit(&world.scenario);
        }
        // Not so far ahead that all is written before half of the kills.
        let due = ordered.saturating_sub(written.len() * 4 / parts);
        let taken = sink.wait_for(SURE, due, PATIENCE);
        engine.assert_running();
        assert!(taken >= due, "only {taken} of {due} events have arrived, see {}", world.path("").display());
    }
    producers.finish();
    let taken = sink.wait_for(SURE, written.len(), PATIENCE);
    engine.ready();
    let is_settled = |books: &Value| ["sure", "once"].iter().all(|name| books_of(books, name)["pending"] == 0);
    let mut books = Value::Null;
    let settled = wait_until(PATIENCE, || {
        books = audit(&world.scenario);
        is_settled(&books)
    });
    assert!(settled, "{taken} of {} events arrived and deliveries stay pending: {books:#}", written.len());
    let seconds = clock.monotonic().as_secs_f64();

    assert_eq!(books["spool"]["quarantined"], 0);
    let written = Written { surely: written.clone(), maybe: written };
    let Findings { events, repeated, repeated_max, delivered, refused, unknown, .. } = judge(&world, &written, &books);

    assert_eq!(engine.stop(), Some(0), "a stop ends well");
    world.until_idle();
    assert_eq!(audit(&world.scenario), books, "the same with the engine stopped, and after a clean restart");
    let log = world.scenario.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("\"ERROR\"") || line.contains("panicked")).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    println!(
        "{events} events, {kills} kills, {seconds:.1} s, retention {retention}: at-least-once lost 0, {repeated} repeated \
         ({repeated_max} by one kill); at-most-once sent twice 0, {delivered} delivered, {refused} refused, \
         {unknown} unknown",
    );
}
