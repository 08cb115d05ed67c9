//! Seven kinds of producers write while the engine is killed again and again. Nothing is lost, nothing that must be sent
//! once is sent twice, what is sent twice is the same, and the books agree with what really arrived.
//!
//! `SPOOLHOOK_CRASH_EVENTS` and `SPOOLHOOK_CRASH_KILLS` set the size, `SPOOLHOOK_CRASH_SEED` the moments.

mod producers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use producers::Producers;
use serde_json::Value;
use spoolhook::env::{Clock, SystemClock};

use crate::support::{Answer, Engine, Scenario, Seen, Sink, number, pause, wait_until};

const ONCE: &str = "/at-most-once";
const SURE: &str = "/at-least-once";
/// Longest time in which nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// `retention`: how long the spool keeps what is delivered.
fn config(sink: &Sink, retention: &str) -> String {
    let addr = sink.addr();
    format!(
        r#"
[spool]
dir = "spool"
retention = {{ age = "{retention}" }}

[[log]]
dir = "log"
pattern = "*.ndjson"

[state]
dir = "state"

[admin]
listen = "off"

[dialect.crash]
body = '{{"id":{{{{id}}}},"time":{{{{time}}}},"data":{{{{data}}}}}}'
headers = {{ X-Delivery-Id = "{{{{delivery_id}}}}" }}

[[subscription]]
name = "sure"
url = "http://{addr}{SURE}"
dialect = "crash"
events = ["**"]
retry = ["50ms", "100ms", "200ms", "400ms", "1s"]
start = "beginning"

[[subscription]]
name = "once"
url = "http://{addr}{ONCE}"
dialect = "crash"
events = ["**"]
mode = "at-most-once"
start = "beginning"
"#
    )
}

/// One delivery in sixteen is refused the first two times it comes, so that retries are interrupted as well.
fn decide(_path: &str, id: &str, number: u32) -> u16 {
    let draw: u32 = id.bytes().map(u32::from).sum();
    if draw.is_multiple_of(16) && number <= 2 { 409 } else { 200 }
}

/// The parts of the work after which the engine is killed: as many as there are kills, in order.
fn moments(kills: usize, parts: usize, random: &mut fastrand::Rng) -> Vec<usize> {
    let mut moments: Vec<usize> = (0..kills).map(|_| random.usize(1..=parts)).collect();
    moments.sort_unstable();
    moments
}

/// Kills the engine at a random moment and starts it again at once.
fn crash(scenario: &Scenario, engine: &mut Engine, random: &mut fastrand::Rng) {
    pause(Duration::from_micros(random.u64(0..250_000)));
    engine.kill();
    *engine = scenario.engine();
}

/// The books, which balance at any moment, whether the engine runs or not.
fn audit(scenario: &Scenario) -> Value {
    let Answer { code, json, stderr } = scenario.cli(&["audit"]);
    assert_eq!(code, Some(0), "the books differ: {json:#} {stderr}");
    json
}

fn books_of<'a>(audit: &'a Value, subscription: &str) -> BTreeMap<&'a str, u64> {
    let all = audit["subscriptions"].as_array().expect("a list of books");
    let books = all.iter().find(|books| books["subscription"] == subscription).expect("the subscription's books");
    let counts = books.as_object().expect("an object").iter();
    counts.filter_map(|(name, count)| Some((name.as_str(), count.as_u64()?))).collect()
}

/// Every delivery of `subscription` with that status.
fn deliveries(scenario: &Scenario, subscription: &str, status: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut args = vec!["deliveries", "list", "--subscription", subscription, "--status", status, "--limit", "100"];
        if !cursor.is_empty() {
            args.extend(["--cursor", &cursor]);
        }
        let Answer { code, json, stderr } = scenario.cli(&args);
        assert_eq!(code, Some(0), "{stderr}");
        let page = json["data"].as_array().expect("a page of deliveries");
        ids.extend(page.iter().map(|delivery| delivery["id"].as_str().expect("an id").to_owned()));
        match json["next_cursor"].as_str() {
            Some(next) if !page.is_empty() => cursor = next.to_owned(),
            _ => return ids,
        }
    }
}

/// The deliveries of each event, by what the body said.
fn by_event(seen: &HashMap<String, Seen>) -> BTreeMap<&str, Vec<&str>> {
    let mut events: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, seen) in seen.iter().filter(|(_, seen)| seen.whole > 0) {
        events.entry(&seen.event).or_default().push(id);
    }
    events
}

#[test]
fn kills_lose_nothing_and_send_nothing_twice_that_must_not_be() {
    let (events, kills) = (number("SPOOLHOOK_CRASH_EVENTS", 7_000), number("SPOOLHOOK_CRASH_KILLS", 5));
    let clock = SystemClock::new();
    let seed = number("SPOOLHOOK_CRASH_SEED", clock.now().0.unsigned_abs());
    let mut random = fastrand::Rng::with_seed(seed);
    let retention = if random.bool() { "2s" } else { "24h" };
    println!("SPOOLHOOK_CRASH_SEED={seed} (retention {retention})");
    let (events, kills) = (events as usize, kills as usize);

    let sink = Sink::start(decide);
    let scenario = Scenario::new(&config(&sink, retention));
    std::fs::create_dir(scenario.path("log")).unwrap();
    let mut engine = scenario.engine();
    engine.ready();
    let mut producers = Producers::start(events, &scenario.path("spool"), &scenario.path("log"));
    let written: BTreeSet<String> = producers.events().collect();

    let parts = kills * 4;
    let mut kill_after = moments(kills, parts, &mut random).into_iter().peekable();
    for part in 1..=parts {
        let ordered = producers.order(part, parts);
        while kill_after.next_if(|after| *after <= part).is_some() {
            crash(&scenario, &mut engine, &mut random);
        }
        if part % 7 == 0 {
            engine.ready();
            audit(&scenario);
        }
        // Not so far ahead that all is written before half of the kills.
        let due = ordered.saturating_sub(written.len() * 4 / parts);
        let taken = sink.wait_for(SURE, due, PATIENCE);
        engine.assert_running();
        assert!(taken >= due, "only {taken} of {due} events have arrived, see {}", scenario.path("").display());
    }
    producers.finish();
    let taken = sink.wait_for(SURE, written.len(), PATIENCE);
    engine.ready();
    let is_settled = |books: &Value| ["sure", "once"].iter().all(|name| books_of(books, name)["pending"] == 0);
    let mut books = Value::Null;
    let settled = wait_until(PATIENCE, || {
        books = audit(&scenario);
        is_settled(&books)
    });
    assert!(settled, "{taken} of {} events arrived and deliveries stay pending: {books:#}", written.len());
    let seconds = clock.monotonic().as_secs_f64();

    let (sure, once) = (sink.seen(SURE), sink.seen(ONCE));
    assert_eq!(sink.faults(), Vec::<String>::new());
    assert_eq!(books["spool"]["events"], written.len());
    assert_eq!(books["spool"]["quarantined"], 0);

    let arrived = by_event(&sure);
    let lost: Vec<_> = written.iter().filter(|event| !arrived.contains_key(event.as_str())).collect();
    assert!(lost.is_empty(), "{} events are lost: {lost:?}", lost.len());
    let several: Vec<_> = arrived.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(several.is_empty(), "events with more than one delivery id: {several:?}");
    assert_eq!(arrived.len(), written.len(), "events arrived that nobody wrote");
    assert!(sure.values().all(|seen| !seen.differs), "a repeated delivery had another body");
    let sure_books = books_of(&books, "sure");
    assert_eq!((sure_books["matched"], sure_books["delivered"]), (written.len() as u64, written.len() as u64));

    let twice: Vec<_> = once.iter().filter(|(_, seen)| seen.begun > 1).collect();
    assert!(twice.is_empty(), "at-most-once deliveries sent twice: {twice:?}");
    let several: Vec<_> = by_event(&once).into_iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(several.is_empty(), "events sent more than once: {several:?}");
    let once_books = books_of(&books, "once");
    let (delivered, failed, unknown) = (once_books["delivered"], once_books["failed"], once_books["unknown"]);
    assert_eq!(once_books["matched"], written.len() as u64);
    assert_eq!(delivered + failed + unknown, written.len() as u64, "{once_books:?}");
    let in_doubt: BTreeSet<_> = deliveries(&scenario, "once", "unknown").into_iter().collect();
    let refused: BTreeSet<_> = deliveries(&scenario, "once", "failed").into_iter().collect();
    assert_eq!((in_doubt.len() as u64, refused.len() as u64), (unknown, failed));
    let answered = once.iter().filter(|(id, _)| !in_doubt.contains(*id));
    let (taken, not_taken): (Vec<_>, Vec<_>) = answered.partition(|(_, seen)| seen.taken == 1);
    assert_eq!(taken.len() as u64, delivered, "the books and the receiver disagree on what was delivered once");
    assert!(not_taken.iter().all(|(id, seen)| seen.whole == 1 && refused.contains(*id)), "{not_taken:?}");

    assert_eq!(engine.stop(), Some(0), "a stop ends well");
    let idle = scenario.run(&["run", "--until-idle"]);
    assert!(idle.status.success(), "{}", String::from_utf8_lossy(&idle.stderr));
    assert_eq!(audit(&scenario), books, "the books are the same with the engine stopped, and after a clean restart");
    let log = scenario.log();
    let errors: Vec<_> = log.lines().filter(|line| line.contains("\"ERROR\"") || line.contains("panicked")).collect();
    assert!(errors.is_empty(), "{errors:#?}");

    let repeats: u32 = sure.values().map(|seen| seen.taken - 1).sum();
    println!(
        "{} events, {kills} kills, {seconds:.1} s: at-least-once lost 0, {repeats} repeated; at-most-once sent twice 0, \
         {delivered} delivered, {failed} refused, {unknown} unknown",
        written.len(),
    );
}
