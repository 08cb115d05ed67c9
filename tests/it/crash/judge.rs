//! What must hold after any crash, read from the receiver's log and compared with the books.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use spoolhook::dispatch::UNCOMMITTED_MAX;

use super::world::{ONCE, SURE, World};
use crate::support::{Answer, Scenario, Seen};

/// Deliveries that one kill may repeat: those without a durable outcome, and one for each of the (default) workers.
pub const WINDOW: usize = UNCOMMITTED_MAX + 64;

/// What was written: events that must arrive, and events that may. The names are those in the lines' `"event"`.
pub struct Written {
    pub surely: BTreeSet<String>,
    pub maybe: BTreeSet<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Findings {
    pub events: usize,
    /// Events that had to arrive.
    pub accepted: usize,
    /// Attempts of at-least-once deliveries that were made again because a kill left no record of them...
    pub repeated: usize,
    /// ...and the most that one kill caused.
    pub repeated_max: usize,
    /// At-most-once deliveries by how they ended.
    pub delivered: u64,
    pub refused: u64,
    pub unknown: u64,
}

/// The books, which balance at any moment, whether the engine runs or not.
pub fn audit(scenario: &Scenario) -> Value {
    let Answer { code, json, stderr } = scenario.cli(&["audit"]);
    assert_eq!(code, Some(0), "the books differ: {json:#} {stderr}");
    json
}

pub fn books_of<'a>(audit: &'a Value, subscription: &str) -> BTreeMap<&'a str, u64> {
    let all = audit["subscriptions"].as_array().expect("a list of books");
    let books = all.iter().find(|books| books["subscription"] == subscription).expect("the subscription's books");
    let counts = books.as_object().expect("an object").iter();
    counts.filter_map(|(name, count)| Some((name.as_str(), count.as_u64()?))).collect()
}

/// Every delivery of `subscription` with that status.
fn deliveries(scenario: &Scenario, subscription: &str, status: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
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

/// Attempts that were made again, by the number of the engine that had made them.
fn repeats(seen: &HashMap<String, Seen>) -> BTreeMap<u32, usize> {
    let mut by_run = BTreeMap::new();
    for (id, seen) in seen {
        let mut attempts: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        seen.sent.iter().for_each(|(attempt, run)| attempts.entry(*attempt).or_default().push(*run));
        for (attempt, mut runs) in attempts {
            runs.sort_unstable();
            let engines = runs.len();
            runs.dedup();
            assert_eq!(runs.len(), engines, "one engine made attempt {attempt} of {id} twice");
            runs.pop();
            runs.into_iter().for_each(|run| *by_run.entry(run).or_default() += 1);
        }
    }
    by_run
}

/// Judges what the receiver saw, given the books of an engine that has nothing left to do.
pub fn judge(world: &World, written: &Written, books: &Value) -> Findings {
    let scenario = &world.scenario;
    let (sure, once) = (world.seen(SURE), world.seen(ONCE));
    assert_eq!(world.sink.faults(), Vec::<String>::new());

    let arrived = by_event(&sure);
    let lost: Vec<_> = written.surely.iter().filter(|event| !arrived.contains_key(event.as_str())).collect();
    assert!(lost.is_empty(), "{} events are lost: {lost:?}", lost.len());
    let invented: Vec<_> = arrived.keys().filter(|event| !written.maybe.contains(**event)).collect();
    assert!(invented.is_empty(), "events arrived that nobody wrote: {invented:?}");
    let events = arrived.len() as u64;
    assert_eq!(books["spool"]["events"], events, "the log and the receiver disagree on what there was");
    assert!(sure.values().all(|seen| !seen.differs), "a repeated delivery had another body");
    let sure_books = books_of(books, "sure");
    assert_eq!((sure_books["matched"], sure_books["delivered"]), (events, events), "{sure_books:?}");
    let repeats = repeats(&sure);
    let repeated_max = repeats.values().copied().max().unwrap_or(0);
    assert!(repeated_max <= WINDOW, "one kill repeated {repeated_max} deliveries, {WINDOW} is the most it may");

    let twice: Vec<_> = once.iter().filter(|(_, seen)| seen.begun > 1).collect();
    assert!(twice.is_empty(), "at-most-once deliveries sent twice: {twice:?}");
    let phantoms: Vec<_> = by_event(&once).into_keys().filter(|event| !arrived.contains_key(event)).collect();
    assert!(phantoms.is_empty(), "sent once, and unknown to the other subscription: {phantoms:?}");
    for (mode, seen) in [("at least once", &sure), ("at most once", &once)] {
        let several: Vec<_> = by_event(seen).into_iter().filter(|(_, ids)| ids.len() > 1).collect();
        assert!(several.is_empty(), "{mode}: events with more than one delivery: {several:?}");
    }
    let once_books = books_of(books, "once");
    let (delivered, failed, unknown) = (once_books["delivered"], once_books["failed"], once_books["unknown"]);
    assert_eq!(once_books["matched"], events);
    assert_eq!(delivered + failed + unknown, events, "{once_books:?}");
    let in_doubt = deliveries(scenario, "once", "unknown");
    let refused = deliveries(scenario, "once", "failed");
    assert_eq!((in_doubt.len() as u64, refused.len() as u64), (unknown, failed));
    let answered = once.iter().filter(|(id, _)| !in_doubt.contains(*id));
    let (taken, not_taken): (Vec<_>, Vec<_>) = answered.partition(|(_, seen)| seen.taken == 1);
    assert_eq!(taken.len() as u64, delivered, "the books and the receiver disagree on what was delivered once");
    assert!(not_taken.iter().all(|(id, seen)| seen.whole == 1 && refused.contains(*id)), "{not_taken:?}");
    let repeated = repeats.values().sum();
    let accepted = written.surely.len();
    Findings { events: arrived.len(), accepted, repeated, repeated_max, delivered, refused: failed, unknown }
}
