//! What the engine promises, step by step.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::stepped::{Answer, START, Seen, Stepped};
use crate::env::{Clock, Files, OsFiles};
use crate::model::{Mode, RetrySchedule, Secret, SubId, Subscription};

pub(super) fn subscription(name: &str, dialect: &str, mode: Mode, waits_s: &[u64]) -> Subscription {
    Subscription {
        dialect: dialect.into(),
        mode,
        retry: RetrySchedule { waits: waits_s.iter().map(|s| Duration::from_secs(*s)).collect(), jitter: 0.0 },
        max_in_flight: 16,
        secrets: vec![Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")],
        ..Subscription::new(name, "http://receiver.test/hooks")
    }
}

pub(super) fn event(n: u32) -> String {
    format!(r#"{{"type":"invoice.created","id":"e{n}","data":{{"n":{n}}}}}"#)
}

pub(super) fn header(seen: &Seen, name: &str) -> String {
    let found = seen.request.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn offsets_s(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|seen| seen.at.since(START).as_secs()).collect()
}

const LANE: SubId = SubId(1);
const DEFAULT: &[u64] = &[5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
const CARRIYO_EXTENDED: &[u64] = &[60, 180, 300, 3600, 10_800, 18_000, 28_800, 46_800];

fn cumulated(waits: &[u64]) -> Vec<u64> {
    let mut at = 0;
    std::iter::once(0)
        .chain(waits.iter().map(|wait| {
            at += wait;
            at
        }))
        .collect()
}

#[test]
fn a_receiver_that_is_down_then_500_then_200_gets_the_same_bytes_at_the_schedules_times() {
    let dir = tempfile::tempdir().unwrap();
    let umbra = subscription("books", "umbra", Mode::AtLeastOnce, DEFAULT);
    let answers = [Answer::Refused, Answer::Refused, Answer::Status(500), Answer::Reset];
    let mut engine = Stepped::start(dir.path(), vec![umbra], &answers);
    engine.produce(&event(1));
    engine.run_out();
    let seen = engine.seen();
    assert_eq!(offsets_s(&seen), [0, 5, 305, 2105, 9305]);
    for attempt in &seen {
        assert_eq!(attempt.request.body, seen[0].request.body);
        assert_eq!(header(attempt, "X-Webhook-Delivery-Id"), header(&seen[0], "X-Webhook-Delivery-Id"));
        assert_eq!(header(attempt, "X-Webhook-Signature"), header(&seen[0], "X-Webhook-Signature"));
    }
    let lane = &engine.ledger().lanes[&LANE];
    assert_eq!((lane.books.delivered, lane.books.pending(), lane.parked), (1, 0, 0));
    assert_eq!((lane.counters.success_count, lane.counters.error_count), (1, 4));
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn every_attempt_of_a_schedule_is_made_and_then_the_delivery_has_failed() {
    for waits in [DEFAULT, CARRIYO_EXTENDED, &CARRIYO_EXTENDED[..3]] {
        let dir = tempfile::tempdir().unwrap();
        let carriyo = subscription("tracking", "carriyo", Mode::AtLeastOnce, waits);
        let mut engine = Stepped::start(dir.path(), vec![carriyo], &vec![Answer::Status(500); 20]);
        engine.produce(&event(1));
        engine.run_out();
        let seen = engine.seen();
        assert_eq!(offsets_s(&seen), cumulated(waits));
        assert_eq!(seen.iter().map(|seen| header(seen, "event-id")).collect::<HashSet<_>>().len(), 1);
        let lane = &engine.ledger().lanes[&LANE];
        assert_eq!((lane.books.failed, lane.books.pending()), (1, 0));
        assert_eq!(engine.differences(), Vec::<String>::new());
    }
}

#[test]
fn a_schedule_goes_on_across_crashes() {
    let dir = tempfile::tempdir().unwrap();
    let standard = subscription("oms", "standard", Mode::AtLeastOnce, DEFAULT);
    let mut engine = Stepped::start(dir.path(), vec![standard], &vec![Answer::Status(503); 4]);
    engine.produce(&event(1));
    engine.settle();
    for expected in [5, 305, 2105, 9305] {
        engine.crash();
        engine.settle();
        let now = engine.clock.now();
        engine.clock.advance(START.plus(Duration::from_secs(expected)).since(now));
        engine.settle();
    }
    let seen = engine.seen();
    assert_eq!(offsets_s(&seen), [0, 5, 305, 2105, 9305]);
    assert_eq!(seen.iter().map(|seen| header(seen, "webhook-id")).collect::<HashSet<_>>().len(), 1);
    assert_eq!(engine.ledger().lanes[&LANE].books.delivered, 1);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn retry_after_moves_the_next_attempt_and_quietens_the_lane() {
    let dir = tempfile::tempdir().unwrap();
    let standard = subscription("oms", "standard", Mode::AtLeastOnce, DEFAULT);
    let mut engine = Stepped::start(dir.path(), vec![standard], &[Answer::RetryAfter(429, "90")]);
    engine.produce(&event(1));
    engine.settle();
    engine.produce(&event(2));
    engine.run_out();
    assert_eq!(offsets_s(&engine.seen()), [0, 90, 90]);
}

#[test]
fn gone_pauses_the_subscription_keeps_the_events_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let standard = subscription("oms", "standard", Mode::AtLeastOnce, DEFAULT);
    let mut engine = Stepped::start(dir.path(), vec![standard], &[Answer::Status(410)]);
    engine.produce(&event(1));
    engine.run_out();
    engine.produce(&event(2));
    engine.clock.advance(Duration::from_secs(1));
    engine.run_out();
    let lane = engine.ledger().lanes[&LANE].clone();
    assert_eq!((lane.books.failed, lane.books.pending()), (1, 1));
    assert!(lane.paused.unwrap().contains("410"));
    assert_eq!(engine.seen().len(), 1);
    engine.crash();
    engine.run_out();
    assert_eq!(engine.seen().len(), 1, "a pause outlives a restart");
    engine.resume(LANE);
    engine.run_out();
    assert_eq!(engine.seen().len(), 2);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn at_most_once_is_claimed_before_it_is_sent_and_never_sent_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut carbon = subscription("orders", "carbon", Mode::AtMostOnce, &[]);
    carbon.secrets.clear();
    let mut engine = Stepped::start(dir.path(), vec![carbon], &[]);
    engine.hold_sends = true;
    engine.produce(&event(1));
    engine.settle();
    assert_eq!(engine.ledger().lanes[&LANE].claimed.len(), 1, "the claim is durable before the first byte");
    engine.crash();
    engine.hold_sends = false;
    engine.run_out();
    assert_eq!(engine.seen().len(), 0);
    let lane = engine.ledger().lanes[&LANE].clone();
    assert_eq!((lane.books.unknown, lane.books.pending(), lane.claimed.len()), (1, 0, 0));
    engine.clock.advance(Duration::from_secs(1));
    engine.produce(&event(2));
    engine.run_out();
    assert_eq!(engine.seen().len(), 1);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn at_most_once_without_an_answer_is_unknown_and_without_a_byte_is_failed() {
    let dir = tempfile::tempdir().unwrap();
    let mut carbon = subscription("orders", "carbon", Mode::AtMostOnce, &[]);
    carbon.secrets.clear();
    let answers = [Answer::Refused, Answer::Reset, Answer::Status(503)];
    let mut engine = Stepped::start(dir.path(), vec![carbon], &answers);
    (1..=4).for_each(|n| engine.produce(&event(n)));
    engine.run_out();
    let books = engine.ledger().lanes[&LANE].books;
    assert_eq!((books.failed, books.unknown, books.delivered), (2, 1, 1));
    assert_eq!(engine.seen().len(), 4);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn a_lane_far_behind_catches_up_without_a_gap_or_a_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let mut standard = subscription("oms", "standard", Mode::AtLeastOnce, DEFAULT);
    standard.max_in_flight = 3;
    let mut engine = Stepped::start(dir.path(), vec![standard], &[]);
    engine.hold_sends = true;
    for chunk in 0..10 {
        (0..200).for_each(|n| engine.produce(&event(chunk * 200 + n)));
        engine.clock.advance(Duration::from_secs(1));
        engine.settle();
    }
    engine.hold_sends = false;
    engine.run_out();
    let ids: Vec<_> = engine.seen().iter().map(|seen| header(seen, "webhook-id")).collect();
    assert_eq!(ids.len(), 2000);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2000);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn a_crash_at_any_step_loses_nothing_and_repeats_only_what_was_not_yet_durable() {
    for stop in 1..40 {
        let dir = tempfile::tempdir().unwrap();
        let at_least = subscription("oms", "standard", Mode::AtLeastOnce, &[5]);
        let mut at_most = subscription("orders", "carbon", Mode::AtMostOnce, &[]);
        at_most.secrets.clear();
        let answers = [Answer::Status(500), Answer::Status(200), Answer::Reset];
        let mut engine = Stepped::start(dir.path(), vec![at_least, at_most], &answers);
        (1..=3).for_each(|n| engine.produce(&event(n)));
        for _ in 0..stop {
            if !engine.step() {
                engine.clock.advance(Duration::from_secs(1));
            }
        }
        engine.crash();
        engine.run_out();
        let ledger = engine.ledger();
        let (oms, orders) = (&ledger.lanes[&SubId(1)].books, &ledger.lanes[&SubId(2)].books);
        assert_eq!((oms.matched, oms.delivered), (3, 3), "stopped after {stop} steps");
        assert_eq!(orders.matched, orders.delivered + orders.unknown + orders.failed, "stopped after {stop} steps");
        let mut carbon: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for seen in engine.seen().iter().filter(|seen| header(seen, "webhook-id").is_empty()) {
            *carbon.entry(seen.request.body.clone()).or_default() += 1;
        }
        assert!(carbon.values().all(|count| *count == 1), "stopped after {stop} steps: {carbon:?}");
        assert_eq!(engine.differences(), Vec::<String>::new(), "stopped after {stop} steps");
    }
}

#[test]
fn events_of_a_lost_state_are_sent_again_or_unknown_never_twice_at_most_once() {
    let dir = tempfile::tempdir().unwrap();
    let at_least = subscription("oms", "standard", Mode::AtLeastOnce, &[5]);
    let mut at_most = subscription("orders", "carbon", Mode::AtMostOnce, &[]);
    at_most.secrets.clear();
    let mut engine = Stepped::start(dir.path(), vec![at_least.clone(), at_most.clone()], &[]);
    (1..=3).for_each(|n| engine.produce(&event(n)));
    engine.settle();
    let first = engine.seen();
    assert_eq!(first.len(), 6);
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let mut engine = Stepped::start(dir.path(), vec![at_least, at_most], &[]);
    engine.run_out();
    let again = engine.seen();
    let bodies = |seen: &[Seen]| -> HashSet<Vec<u8>> {
        seen.iter().filter(|seen| !header(seen, "webhook-id").is_empty()).map(|s| s.request.body.clone()).collect()
    };
    assert!(again.iter().all(|seen| !header(seen, "webhook-id").is_empty()), "no at-most-once delivery is repeated");
    assert_eq!(again.len(), 3);
    let ids = |seen: &[Seen]| -> HashSet<String> { seen.iter().map(|seen| header(seen, "webhook-id")).collect() };
    assert!(ids(&again).is_subset(&ids(&first)) && bodies(&again).len() == 3);
    assert_eq!(engine.ledger().lanes[&SubId(2)].books.unknown, 3);
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn what_a_producer_writes_on_after_the_state_was_lost_is_sent_at_most_once_too() {
    let dir = tempfile::tempdir().unwrap();
    let once = subscription("orders", "standard", Mode::AtMostOnce, &[]);
    let mut engine = Stepped::start(dir.path(), vec![once.clone()], &[]);
    // It keeps its file open all the time.
    std::fs::create_dir_all(dir.path().join("spool/in")).unwrap();
    let mut file = OsFiles.create(&dir.path().join("spool/in/long.ndjson")).unwrap();
    file.append(format!("{}\n", event(1)).as_bytes()).unwrap();
    engine.settle();
    assert_eq!(engine.seen().len(), 1);
    drop(engine);
    std::fs::remove_dir_all(dir.path().join("state")).unwrap();
    let mut engine = Stepped::start(dir.path(), vec![once], &[]);
    for n in 2..=3 {
        file.append(format!("{}\n", event(n)).as_bytes()).unwrap();
        engine.settle();
        engine.crash();
    }
    engine.run_out();
    let sent: Vec<_> = engine.seen().iter().map(|seen| header(seen, "webhook-id")).collect();
    assert_eq!(sent, ["e2", "e3"]);
    let books = engine.ledger().lanes[&SubId(1)].books;
    assert_eq!((books.unknown, books.delivered), (1, 2));
}

#[test]
fn a_subscription_that_comes_back_takes_its_old_backlog_and_nothing_of_the_time_between() {
    let dir = tempfile::tempdir().unwrap();
    let oms = subscription("oms", "standard", Mode::AtLeastOnce, &[5]);
    let mut engine = Stepped::start(dir.path(), vec![oms.clone()], &[]);
    engine.hold_sends = true;
    (1..=3).for_each(|n| engine.produce(&event(n)));
    engine.settle();
    for (n, subscriptions) in [(4, vec![]), (5, vec![oms])] {
        engine.crash_into(subscriptions);
        engine.produce(&event(n));
        engine.clock.advance(Duration::from_secs(1));
        engine.settle();
        assert_eq!(engine.differences(), Vec::<String>::new());
    }
    engine.hold_sends = false;
    engine.crash();
    engine.run_out();
    let ids: HashSet<_> = engine.seen().iter().map(|seen| header(seen, "webhook-id")).collect();
    assert_eq!(ids, HashSet::from(["e1", "e2", "e3", "e5"].map(str::to_owned)));
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn a_view_that_is_gone_or_damaged_is_rebuilt_and_claims_are_remembered() {
    for damage in ["removed", "overwritten", "row"] {
        let dir = tempfile::tempdir().unwrap();
        let oms = subscription("oms", "standard", Mode::AtLeastOnce, &[3600]);
        let mut orders = subscription("orders", "carbon", Mode::AtMostOnce, &[]);
        orders.secrets.clear();
        let mut engine = Stepped::start(dir.path(), vec![oms.clone(), orders.clone()], &[Answer::Status(500)]);
        (1..=3).for_each(|n| engine.produce(&event(n)));
        engine.settle();
        let before = engine.ledger();
        let sent = engine.seen().len();
        let subscriptions = vec![oms, orders];
        drop(engine);
        let view = dir.path().join("state/view");
        match damage {
            "removed" => std::fs::remove_dir_all(&view).unwrap(),
            "overwritten" => std::fs::write(view.join("db"), vec![0xA5; 400_000]).unwrap(),
            _ => {
                let mut bytes = std::fs::read(view.join("db")).unwrap();
                let middle = bytes.len() / 2;
                bytes[..middle].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
                std::fs::write(view.join("db"), bytes).unwrap();
            }
        }
        let mut engine = Stepped::start(dir.path(), subscriptions, &[]);
        engine.settle();
        assert_eq!(engine.seen().len(), 0, "{damage}: nothing is sent again ({sent} were)");
        let after = engine.ledger();
        let books = |ledger: &crate::store::Ledger| ledger.lanes.values().map(|lane| lane.books).collect::<Vec<_>>();
        assert_eq!(books(&after), books(&before), "{damage}");
        assert_eq!(engine.differences(), Vec::<String>::new(), "{damage}");
    }
}
