//! What is kept, for whom, and when it ends: nothing that somebody waits for goes, and nothing stays for ever.

use std::path::Path;
use std::time::Duration;

use super::stepped::{Answer, Stepped};
use super::tests::subscription;
use crate::model::{Mode, SubId};
use crate::store::Books;

const LANE: SubId = SubId(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn produce(engine: &mut Stepped, numbers: std::ops::RangeInclusive<u32>) {
    for n in numbers {
        engine.produce(&format!(r#"{{"type":"invoice.created","id":"e{n}","data":{{"n":{n}}}}}"#));
        engine.clock.advance(Duration::from_secs(1));
        engine.settle();
    }
}

/// Days pass; the house is kept every six hours.
fn pass(engine: &mut Stepped, days: u32) {
    for _ in 0..days * 4 {
        engine.clock.advance(6 * HOUR);
        engine.keep_house(DAY, 30 * DAY);
    }
}

/// Segments that are kept whole.
fn segments(root: &Path) -> usize {
    fn count(dir: &Path) -> usize {
        let entries = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
    count(&root.join("spool/claimed")) + count(&root.join("spool/archive")) - remnants(root)
}

fn remnants(root: &Path) -> usize {
    std::fs::read_dir(root.join("spool/archive/remnants")).map_or(0, Iterator::count)
}

fn books(engine: &mut Stepped) -> Books {
    engine.ledger().lanes[&LANE].books
}

#[test]
fn what_waits_for_a_lane_that_is_paused_for_a_month_is_kept_and_sent() {
    let dir = tempfile::tempdir().unwrap();
    let oms = subscription("oms", "standard", Mode::AtLeastOnce, &[5]);
    let mut engine = Stepped::start(dir.path(), vec![oms], &[]);
    produce(&mut engine, 1..=2);
    engine.pause(LANE);
    produce(&mut engine, 3..=7);
    pass(&mut engine, 15);
    engine.crash();
    pass(&mut engine, 16);
    assert_eq!((engine.seen().len(), books(&mut engine).pending()), (2, 5));
    assert!(segments(dir.path()) > 0);
    engine.resume(LANE);
    engine.settle();
    assert_eq!((engine.seen().len(), books(&mut engine).delivered), (7, 7));
    pass(&mut engine, 2);
    assert_eq!((segments(dir.path()), remnants(dir.path())), (0, 0), "delivered files go when their time is over");
    assert_eq!(engine.ledger().extents.bytes(), 0);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn a_straggler_keeps_its_line_and_not_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let oms = subscription("oms", "standard", Mode::AtLeastOnce, &[5 * 24 * 3600]);
    let mut engine = Stepped::start(dir.path(), vec![oms], &[Answer::Status(503)]);
    produce(&mut engine, 1..=20);
    pass(&mut engine, 3);
    assert_eq!((segments(dir.path()), remnants(dir.path())), (0, 1));
    engine.crash();
    engine.run_out();
    let seen = engine.seen();
    assert_eq!(seen.len(), 21);
    assert_eq!(seen[0].request.body, seen[20].request.body, "the same bytes");
    let id =
        |at: usize| seen[at].request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("webhook-id")).cloned();
    assert_eq!((id(0).is_some(), id(0)), (true, id(20)));
    assert_eq!(books(&mut engine).delivered, 20);
    pass(&mut engine, 1);
    assert_eq!(remnants(dir.path()), 0);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn what_waits_for_a_subscription_that_is_gone_is_cancelled_after_the_retention() {
    let dir = tempfile::tempdir().unwrap();
    let oms = subscription("oms", "standard", Mode::AtLeastOnce, &[3600 * 48]);
    let other = subscription("other", "standard", Mode::AtLeastOnce, &[]);
    let mut engine = Stepped::start(dir.path(), vec![oms.clone()], &[Answer::Status(503)]);
    produce(&mut engine, 1..=1);
    engine.pause(LANE);
    produce(&mut engine, 2..=9);
    assert_eq!((books(&mut engine).pending(), engine.ledger().lanes[&LANE].parked), (9, 1));
    engine.crash_into(vec![other.clone()]);
    engine.clock.advance(23 * HOUR);
    engine.keep_house(DAY, 30 * DAY);
    assert_eq!(books(&mut engine).pending(), 9, "held for a day");
    engine.clock.advance(2 * HOUR);
    engine.keep_house(DAY, 30 * DAY);
    engine.keep_house(DAY, 30 * DAY);
    let ended = books(&mut engine);
    assert_eq!((ended.cancelled, ended.pending(), ended.matched), (9, 0, 9));
    assert_eq!(engine.ledger().lanes[&LANE].parked, 0);
    assert_eq!(engine.differences(), Vec::<String>::new());
    pass(&mut engine, 2);
    assert_eq!((segments(dir.path()), remnants(dir.path())), (0, 0), "nothing is kept for it");
    engine.crash_into(vec![oms, other]);
    engine.resume(LANE);
    produce(&mut engine, 10..=10);
    engine.run_out();
    let bodies: Vec<_> =
        engine.seen().iter().map(|seen| String::from_utf8_lossy(&seen.request.body).into_owned()).collect();
    assert_eq!(bodies.len(), 3, "the first attempt, and event 10 for both: {bodies:?}");
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn failed_and_unknown_deliveries_outlive_their_files_and_end_with_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let orders = subscription("orders", "standard", Mode::AtMostOnce, &[]);
    let mut engine = Stepped::start(dir.path(), vec![orders], &[Answer::Status(400), Answer::Reset]);
    produce(&mut engine, 1..=5);
    let ended = books(&mut engine);
    assert_eq!((ended.failed, ended.unknown, ended.delivered), (1, 1, 3));
    pass(&mut engine, 28);
    assert_eq!((segments(dir.path()), remnants(dir.path())), (0, 2), "their lines are kept for a replay by hand");
    assert_eq!(engine.differences(), Vec::<String>::new());
    pass(&mut engine, 4);
    assert_eq!(books(&mut engine), ended, "the outcomes stay in the books");
    let forgotten = engine.ledger().lanes[&LANE].forgotten;
    assert_eq!((forgotten.failed, forgotten.unknown), (1, 1));
    pass(&mut engine, 1);
    assert_eq!(remnants(dir.path()), 0);
    engine.crash();
    assert_eq!(engine.differences(), Vec::<String>::new());
}
