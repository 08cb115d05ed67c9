//! The end of segments: archive, late growth, retention, remnants.

use super::*;

fn archived(rig: &Rig) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for day in fs::read_dir(rig.spool().join("archive")).unwrap() {
        let day = day.unwrap().path();
        if !day.ends_with("remnants") {
            found.extend(fs::read_dir(day).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

fn retire(rig: &mut Rig, below: Seq) -> usize {
    let now = rig.now;
    rig.ingest().retire(below, now).unwrap().len()
}

#[test]
fn only_settled_segments_are_archived() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 3));
    rig.tick();
    assert_eq!(retire(&mut rig, 100), 0, "not sealed yet");
    rig.settle();
    assert_eq!(retire(&mut rig, 3), 0, "event 3 is still on its way");
    assert_eq!(retire(&mut rig, 4), 1);
    assert_eq!((archived(&rig).len(), rig.claimed()), (1, 0));
    assert!(archived(&rig)[0].to_string_lossy().contains("/20260312/"));
    rig.restart();
    rig.settle();
    assert_eq!(rig.data().len(), 3, "the archive is not read again");
}

#[test]
fn after_a_restart_a_segment_waits_for_everything_before_it() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 3));
    rig.settle();
    rig.restart();
    rig.settle();
    assert_eq!(retire(&mut rig, 3), 0);
    assert_eq!(retire(&mut rig, 4), 1);
}

#[test]
fn growth_after_the_seal_is_read() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 1));
    rig.settle();
    let claimed = fs::read_dir(rig.spool().join("claimed")).unwrap().next().unwrap().unwrap().path();
    append(&claimed, lines(1, 2));
    assert_eq!(retire(&mut rig, 100), 0);
    rig.settle();
    assert_eq!(rig.data(), ["0", "1"]);
    assert!(rig.problem_kinds().contains(&ProblemKind::LateWrite));
    assert_eq!(retire(&mut rig, 100), 1);
}

#[test]
fn growth_in_the_archive_is_read_if_the_end_was_not_proven() {
    let mut rig = Rig::new();
    let outside = rig.dir.path().join("other-name");
    append(&outside, lines(0, 1));
    fs::hard_link(&outside, rig.inbox("a.ndjson")).unwrap();
    rig.run(Duration::from_secs(30));
    assert_eq!(retire(&mut rig, 100), 0, "the other name can still be opened");
    rig.run(Duration::from_secs(700));
    assert_eq!(retire(&mut rig, 100), 1);
    append(&outside, lines(1, 2));
    let now = rig.now;
    assert!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().is_empty());
    rig.settle();
    assert_eq!(rig.data(), ["0", "1"]);
}

#[test]
fn age_and_size_remove_the_oldest_first() {
    let mut rig = Rig::with(|settings| settings.retention_size = 100);
    for n in 0..3 {
        append(&rig.inbox("a.ndjson"), lines(n, n + 1));
        rig.settle();
        retire(&mut rig, 100);
    }
    let now = rig.now;
    let removed = rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap();
    assert_eq!(removed, vec![rig.journal.extents[0].segment]);
    assert!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().is_empty());
    rig.now = rig.now.plus(Duration::from_secs(25 * 3600));
    rig.restart();
    let now = rig.now.plus(Duration::from_secs(24 * 3600));
    assert_eq!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().len(), 2);
    assert_eq!(archived(&rig).len(), 2, "the journal does not call them gone yet");
    assert!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().is_empty());
    assert!(archived(&rig).is_empty());
}

#[test]
fn a_stuck_delivery_keeps_its_line_and_nothing_else() {
    let mut rig = Rig::with(|settings| settings.retention_size = 0);
    append(&rig.inbox("a.ndjson"), lines(0, 1000));
    rig.settle();
    retire(&mut rig, 2000);
    let stuck = rig.journal.events[500].clone();
    let now = rig.now;
    let offset = stuck.position.offset;
    assert_eq!(rig.ingest().retain(now, &|_| Some(vec![offset])).unwrap().len(), 1);
    assert!(rig.ingest().retain(now, &|_| Some(vec![offset])).unwrap().is_empty());
    assert!(archived(&rig).is_empty());
    for _ in 0..2 {
        let reader = rig.ingest().reader();
        let found = reader.event_at(stuck.position, stuck.seq, stuck.seen).unwrap().unwrap();
        assert_eq!((found.line, found.id, found.time), (stuck.line.clone(), stuck.id.clone(), stuck.time.clone()));
        let gone = rig.journal.events[501].clone();
        assert!(reader.event_at(gone.position, gone.seq, gone.seen).unwrap().is_none());
        assert!(matches!(reader.read(&rig.journal.extents[0], 1), Err(ReadError::Gone { .. })));
        rig.restart();
    }
    rig.ingest().retain(now, &|_| Some(vec![offset])).unwrap();
    assert_eq!(fs::read_dir(rig.spool().join("archive/remnants")).unwrap().count(), 1);
    rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap();
    assert_eq!(fs::read_dir(rig.spool().join("archive/remnants")).unwrap().count(), 0);
}

#[test]
fn a_removed_segment_is_closed_and_a_shorter_retention_counts_at_once() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 10));
    rig.settle();
    retire(&mut rig, 100);
    let reader = rig.ingest().reader();
    assert_eq!(reader.read(&rig.journal.extents[0], 1).unwrap().len(), 10);
    let now = rig.now;
    assert_eq!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().len(), 0);
    rig.ingest().set_retention(Duration::ZERO, 0);
    assert_eq!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().len(), 1);
    assert_eq!(reader.read(&rig.journal.extents[0], 1).unwrap().len(), 10, "still there until the journal says so");
    rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap();
    let spool = rig.spool();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    let is_removed = |path: &PathBuf| path.starts_with(&spool) && path.to_string_lossy().ends_with(" (deleted)");
    let held: Vec<_> = open.filter(is_removed).collect();
    assert!(held.is_empty(), "{held:?}");
}

#[test]
fn a_truncated_segment_is_reported() {
    let mut rig = Rig::new();
    let held = appender(&rig.inbox("a.ndjson"));
    append(&rig.inbox("a.ndjson"), lines(0, 3));
    rig.tick();
    held.set_len(5).unwrap();
    rig.settle();
    assert_eq!(rig.problem_kinds(), [ProblemKind::Truncated]);
    assert_eq!(rig.data(), numbers(0, 3));
    assert_eq!(retire(&mut rig, 100), 1);
}
