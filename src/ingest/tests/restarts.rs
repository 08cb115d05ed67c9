//! Crashes: what was handed out but not committed comes again under the same names, and nothing else does.

use super::*;

fn positions(rig: &Rig) -> Vec<(String, String)> {
    let mut all: Vec<_> = rig
        .journal
        .events
        .iter()
        .map(|event| (event.id.to_string(), String::from_utf8_lossy(&event.line).into_owned()))
        .collect();
    all.sort();
    all
}

#[test]
fn what_was_never_committed_is_read_again_under_the_same_id() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 3));
    let now = rig.now;
    let lost = rig.ingest().tick(now).unwrap();
    let first: Vec<_> = lost.batches.iter().flat_map(|batch| &batch.events).map(|event| event.id.clone()).collect();
    rig.restart();
    rig.settle();
    let again: Vec<_> = rig.journal.events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(again, first);
}

#[test]
fn a_crash_after_every_batch() {
    let mut rig = Rig::with(|settings| settings.max_line = 200);
    let text = format!("{}\n\nbad\n{}{}\n{}\n{}", event(1), event(2), event(3), "x".repeat(300), event(4));
    append(&rig.inbox("a.ndjson"), &text);
    append(&rig.inbox("b.ndjson"), lines(5, 9));
    for step in 0.. {
        rig.restart();
        let now = rig.now;
        let batches = rig.ingest().tick(now).unwrap().batches;
        if let Some(first) = batches.into_iter().find(|batch| !batch.extents.is_empty()) {
            rig.journal.commit(first);
        } else if step > 20 {
            break;
        }
    }
    rig.settle();
    let mut data = rig.data();
    data.sort();
    assert_eq!(data, ["1", "4", "5", "6", "7", "8"]);
    assert_eq!(rig.reasons(), ["invalid_json", "trailing_data", "too_long"]);
}

#[test]
fn a_cut_anywhere_gives_the_same_events() {
    let text = format!("{}\n\n{}\r\nnonsense\n{}\n", event(1), event(2), event(3));
    for cut in 0..=text.len() {
        let mut rig = Rig::new();
        let mut held = appender(&rig.inbox("a.ndjson"));
        held.write_all(&text.as_bytes()[..cut]).unwrap();
        rig.tick();
        rig.restart();
        rig.tick();
        held.write_all(&text.as_bytes()[cut..]).unwrap();
        drop(held);
        rig.settle();
        assert_eq!((rig.data(), rig.quarantined().len()), (numbers(1, 4), 1), "cut at {cut}");
        let offsets: Vec<_> = rig.journal.events.iter().map(|event| event.position.offset).collect();
        assert_eq!(offsets, [0, event(1).len() as u64 + 2, text.find(&event(3)).unwrap() as u64]);
    }
}

#[test]
fn a_lost_journal_costs_repetitions_only() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 5));
    rig.settle();
    let before = positions(&rig);
    rig.journal = Journal { next_seq: 1, ..Journal::default() };
    rig.restart();
    rig.settle();
    assert_eq!(positions(&rig), before);
    assert_eq!(rig.quarantined().len(), 0);
}

#[test]
fn new_segments_sort_behind_old_ones_whatever_the_clock_says() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 1));
    rig.settle();
    rig.now = rig.now.minus(Duration::from_secs(86_400));
    rig.restart();
    append(&rig.inbox("a.ndjson"), lines(1, 2));
    rig.settle();
    let ids: Vec<_> = rig.journal.extents.iter().map(|extent| extent.segment).collect();
    assert!(ids[0] < ids[1]);
}
