//! Logs of others: rotation, truncation, deletion, reuse of inodes, restarts.

use std::os::unix::fs::MetadataExt;

use super::*;

#[test]
fn appended_lines_are_copied_and_the_file_is_left_alone() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 3) + "bad\n" + &event(3)[..10]);
    rig.settle();
    assert_eq!((rig.data(), rig.reasons()), (numbers(0, 3), vec!["invalid_json".to_owned()]));
    append(&log, event(3)[10..].to_owned() + "\n");
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 4));
    assert_eq!(fs::read_to_string(&log).unwrap(), lines(0, 3) + "bad\n" + &lines(3, 4));
    fs::write(rig.logs().join("b.txt"), lines(9, 10)).unwrap();
    fs::write(rig.logs().join("c.ndjson.gz"), lines(9, 10)).unwrap();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 4));
}

#[test]
fn rotation_by_rename_while_behind() {
    for pattern in ["*.ndjson", "*"] {
        let mut rig = Rig::with_log(pattern);
        let log = rig.logs().join("a.ndjson");
        let mut held = appender(&log);
        for n in 0..10 {
            held.write_all(lines(3 * n, 3 * n + 1).as_bytes()).unwrap();
            rig.run(Duration::from_millis(1100));
            held.write_all(lines(3 * n + 1, 3 * n + 2).as_bytes()).unwrap();
            fs::rename(&log, rig.logs().join(format!("a.ndjson.{n}"))).unwrap();
            let mut next = appender(&log);
            held.write_all(lines(3 * n + 2, 3 * n + 3).as_bytes()).unwrap();
            next.write_all(b"\n").unwrap();
            held = next;
        }
        rig.run(Duration::from_secs(20));
        assert_eq!(rig.data(), numbers(0, 30), "{pattern}");
        rig.restart();
        rig.run(Duration::from_secs(20));
        assert_eq!(rig.data().len(), 30, "{pattern}");
        assert!(rig.problem_kinds().is_empty());
    }
}

#[test]
fn a_tail_without_line_end_counts_only_once_the_file_is_rotated_away() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 1) + &event(1));
    rig.run(Duration::from_secs(1300));
    assert_eq!(rig.data(), ["0"]);
    fs::rename(&log, rig.logs().join("a.ndjson.1")).unwrap();
    rig.run(Duration::from_secs(10));
    assert_eq!(rig.data(), ["0", "1"]);
    rig.restart();
    rig.run(Duration::from_secs(10));
    assert_eq!((rig.data().len(), rig.quarantined().len()), (2, 0));
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    let mut held = appender(&log);
    held.write_all(lines(0, 1).as_bytes()).unwrap();
    rig.tick();
    held.write_all(lines(1, 2).as_bytes()).unwrap();
    fs::remove_file(&log).unwrap();
    rig.settle();
    held.write_all(lines(2, 3).as_bytes()).unwrap();
    drop(held);
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 3));
    assert!(rig.journal.cursors.is_empty(), "its cursor is forgotten");
}

#[test]
fn copytruncate_is_noticed_even_when_the_file_has_grown_past_the_cursor() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 5));
    rig.settle();
    fs::write(&log, lines(5, 6)).unwrap();
    rig.settle();
    assert_eq!((rig.data(), rig.problem_kinds()), (numbers(0, 6), vec![ProblemKind::Truncated]));
    fs::write(&log, lines(6, 30)).unwrap();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 30));
    assert!(rig.problem_kinds().contains(&ProblemKind::Replaced));
}

#[test]
fn a_reused_inode_is_a_new_file() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 5));
    rig.settle();
    let ino = fs::metadata(&log).unwrap().ino();
    rig.ingest = None;
    fs::remove_file(&log).unwrap();
    let mut reused = false;
    for attempt in 0..200 {
        append(&log, lines(5, 6) + &lines(6, 40));
        reused = fs::metadata(&log).unwrap().ino() == ino;
        if reused {
            break;
        }
        fs::rename(&log, rig.dir.path().join(format!("spare{attempt}"))).unwrap();
    }
    rig.restart();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 40));
    assert_eq!(reused, rig.problem_kinds().contains(&ProblemKind::Replaced));
}

#[test]
fn identical_heads_and_identical_files_are_different_files() {
    let mut rig = Rig::with_log("*");
    for name in ["a", "b"] {
        append(&rig.logs().join(name), lines(0, 40));
    }
    append(&rig.logs().join("c"), lines(0, 40) + &lines(40, 41));
    rig.settle();
    assert_eq!(rig.data().len(), 121);
}

#[test]
fn restart_at_every_byte() {
    let text = lines(0, 2) + "bad\n\n" + &lines(2, 4);
    for cut in 0..=text.len() {
        let mut rig = Rig::with_log("*.ndjson");
        let log = rig.logs().join("a.ndjson");
        append(&log, &text.as_bytes()[..cut]);
        rig.run(Duration::from_secs(2));
        rig.restart();
        append(&log, &text.as_bytes()[cut..]);
        rig.run(Duration::from_secs(2));
        assert_eq!((rig.data(), rig.quarantined().len()), (numbers(0, 4), 1), "cut at {cut}");
    }
}

#[test]
fn copied_but_never_committed() {
    for is_deleted in [false, true] {
        let mut rig = Rig::with_log("*.ndjson");
        let log = rig.logs().join("a.ndjson");
        append(&log, lines(0, 2));
        rig.settle();
        append(&log, lines(2, 4));
        let now = rig.now.plus(Duration::from_secs(2));
        let lost = rig.ingest().tick(now).unwrap();
        assert!(!lost.batches.is_empty());
        rig.ingest = None;
        if is_deleted {
            fs::remove_file(&log).unwrap();
        }
        rig.restart();
        append(&log, lines(4, 6));
        rig.settle();
        assert_eq!(rig.data(), numbers(0, 6), "deleted: {is_deleted}");
    }
}

#[test]
fn a_copy_that_was_never_committed_is_not_made_again_after_it_left_for_the_archive() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 4));
    let now = rig.now;
    assert!(!rig.ingest().tick(now).unwrap().batches.is_empty(), "copied, and then the engine is killed");
    for _ in 0..2 {
        rig.restart();
        rig.settle();
        let now = rig.now;
        rig.ingest().retire(100, now).unwrap();
    }
    assert_eq!((rig.data(), rig.claimed()), (numbers(0, 4), 0));
}

#[test]
fn a_torn_copy_is_mended_from_the_original() {
    let mut rig = Rig::with_log("*.ndjson");
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 2));
    rig.settle();
    rig.ingest = None;
    let copy = fs::read_dir(rig.spool().join("claimed")).unwrap().next().unwrap().unwrap().path();
    append(&copy, [&[0; 50][..], b"\n{\"ty"].concat());
    append(&log, lines(2, 4));
    rig.restart();
    rig.settle();
    assert_eq!((rig.data(), rig.quarantined().len()), (numbers(0, 4), 0));
}

#[test]
fn a_lost_journal_repeats_but_keeps_ids() {
    let mut rig = Rig::with_log("*.ndjson");
    append(&rig.logs().join("a.ndjson"), lines(0, 5));
    rig.settle();
    let ids: Vec<_> = rig.journal.events.iter().map(|event| event.id.clone()).collect();
    rig.journal = Journal { next_seq: 1, ..Journal::default() };
    rig.restart();
    append(&rig.logs().join("a.ndjson"), lines(5, 6));
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 6));
    assert!(rig.journal.events.iter().zip(ids).all(|(event, id)| event.id == id));
}

#[test]
fn long_lines_in_logs() {
    let mut rig = Rig::with_log("*.ndjson");
    rig.settings.max_line = 1000;
    rig.restart();
    let log = rig.logs().join("a.ndjson");
    append(&log, lines(0, 1) + &"x".repeat(900_000));
    rig.run(Duration::from_secs(3));
    append(&log, "y\n".to_owned() + &lines(1, 2));
    rig.run(Duration::from_secs(3));
    assert_eq!((rig.data(), rig.reasons()), (numbers(0, 2), vec!["too_long".to_owned()]));
    assert_eq!(rig.quarantined()[0].len, 900_002);
}

#[test]
fn cursors_survive_their_encoding() {
    let mut rig = Rig::with_log("*.ndjson");
    append(&rig.logs().join("a.ndjson"), lines(0, 1));
    rig.settle();
    let cursor = rig.journal.cursors.values().next().unwrap().clone();
    let bytes = bincode::serialize(&cursor).unwrap();
    assert_eq!(bincode::deserialize::<LogCursor>(&bytes).unwrap(), cursor);
}

#[test]
fn a_reused_inode_of_the_same_length_and_an_absent_directory() {
    let mut rig = Rig::with_log("*.ndjson");
    let (log, dir) = (rig.logs().join("a.ndjson"), rig.logs());
    append(&log, lines(0, 3));
    rig.settle();
    rig.ingest = None;
    let away = rig.dir.path().join("away");
    fs::rename(&dir, &away).unwrap();
    fs::create_dir(&dir).unwrap();
    rig.restart();
    rig.settle();
    fs::remove_dir(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 3), "the cursor outlives an empty mount point");
    rig.ingest = None;
    fs::write(&log, lines(3, 6)).unwrap();
    rig.restart();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 6));
}

#[test]
fn another_device_number_is_no_new_file() {
    let mut rig = Rig::with_log("*.ndjson");
    append(&rig.logs().join("a.ndjson"), lines(0, 3));
    rig.settle();
    let moved = rig.journal.cursors.values().map(|cursor| LogCursor { dev: cursor.dev + 1, ..cursor.clone() });
    rig.journal.cursors = moved.map(|cursor| ((cursor.log.clone(), cursor.dev, cursor.ino), cursor)).collect();
    let now = rig.now;
    rig.ingest().retire(100, now).unwrap();
    rig.restart();
    rig.settle();
    rig.restart();
    append(&rig.logs().join("a.ndjson"), lines(3, 4));
    rig.settle();
    assert_eq!((rig.data(), rig.journal.cursors.len()), (numbers(0, 4), 1));
}
