//! Claiming, order, sealing: what producers do and what comes of it.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn a_line_is_taken_in_at_the_first_tick() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 2));
    rig.tick();
    assert_eq!(rig.data(), ["0", "1"]);
    assert_eq!(rig.journal.events[0].time, rig.now.to_string());
    assert!(rig.journal.events[1].id.ends_with(&format!("-{}", event(0).len() + 1)));
}

#[test]
fn the_directories_have_the_protocols_modes() {
    let rig = Rig::new();
    let mode = |name: &str| fs::metadata(rig.spool().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("in"), mode("tmp"), mode("claimed")), (0o2770, 0o2770, 0o700));
}

#[test]
fn a_second_engine_is_refused() {
    let rig = Rig::new();
    let second = Ingest::open(rig.settings.clone(), Arc::new(OsFiles), Resume::default(), rig.now);
    assert!(matches!(second, Err(IngestError::Locked { .. })));
}

#[test]
fn generations_of_a_name_keep_their_order_whoever_still_writes() {
    let mut rig = Rig::new();
    let path = rig.inbox("a.ndjson");
    let mut held = appender(&path);
    held.write_all(lines(0, 2).as_bytes()).unwrap();
    rig.run(Duration::from_millis(500));
    append(&path, lines(4, 6));
    held.write_all(lines(2, 4).as_bytes()).unwrap();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 6));
    held.write_all(lines(6, 7).as_bytes()).unwrap();
    drop(held);
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 7));
}

#[test]
fn a_writer_that_stays_open_for_hours_loses_nothing() {
    let mut rig = Rig::new();
    let mut held = appender(&rig.inbox("a.ndjson"));
    held.write_all(event(0).as_bytes()).unwrap();
    rig.run(Duration::from_secs(120));
    assert!(rig.data().is_empty(), "an unterminated line waits while somebody may finish it");
    assert!(rig.ingest().is_drained());
    held.write_all(b"\n").unwrap();
    held.write_all(event(1).as_bytes()).unwrap();
    rig.run(Duration::from_secs(3600));
    assert_eq!(rig.data(), ["0"]);
    drop(held);
    rig.settle();
    assert_eq!(rig.data(), ["0", "1"]);
    assert!(rig.quarantined().is_empty());
}

#[test]
fn sealed_tails_are_judged() {
    let mut rig = Rig::new();
    fs::write(rig.inbox("whole.ndjson"), event(1)).unwrap();
    fs::write(rig.inbox("torn.ndjson"), lines(2, 3) + &event(3)[..20]).unwrap();
    fs::write(rig.inbox("spaces.ndjson"), "  ").unwrap();
    rig.settle();
    let mut data = rig.data();
    data.sort();
    assert_eq!(data, ["1", "2"]);
    assert_eq!(rig.reasons(), ["torn_tail"]);
    assert_eq!(rig.journal.extents.iter().map(|extent| extent.blank).sum::<u32>(), 1);
    assert!(rig.ingest().is_drained());
}

#[test]
fn tiny_and_empty_files() {
    let mut rig = Rig::new();
    fs::write(rig.inbox("empty.ndjson"), "").unwrap();
    fs::write(rig.inbox("blank.ndjson"), "\n").unwrap();
    fs::write(rig.inbox("object.ndjson"), "{}\n").unwrap();
    rig.settle();
    assert_eq!(rig.reasons(), ["schema"]);
    assert_eq!(rig.claimed(), 2, "the empty file is gone");
}

#[test]
fn identical_files_are_all_delivered() {
    let mut rig = Rig::new();
    for n in 0..50 {
        fs::write(rig.inbox(&format!("{n}.ndjson")), lines(0, 2)).unwrap();
    }
    rig.settle();
    assert_eq!(rig.data().len(), 100);
}

#[test]
fn a_name_is_claimed_at_most_once_per_interval() {
    let mut rig = Rig::new();
    let path = rig.inbox("a.ndjson");
    for n in 0..10 {
        append(&path, lines(n, n + 1));
        rig.now = rig.now.plus(Duration::from_millis(30));
        rig.tick();
    }
    assert!(rig.claimed() <= 2, "{}", rig.claimed());
    assert!(!rig.ingest().is_drained() || rig.data().len() == 10);
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 10));
}

#[test]
fn other_names_and_kinds_are_left_alone_and_reported() {
    let mut rig = Rig::new();
    let secret = rig.dir.path().join("outside.ndjson");
    fs::write(&secret, lines(9, 10)).unwrap();
    fs::write(rig.inbox(".hidden.ndjson"), lines(0, 1)).unwrap();
    fs::write(rig.inbox("a.ndjson.gz"), "x").unwrap();
    fs::create_dir(rig.inbox("dir.ndjson")).unwrap();
    symlink(&secret, rig.inbox("link.ndjson")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        rig.inbox("fifo.ndjson"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    fs::write(rig.inbox("ok.jsonl"), lines(1, 2)).unwrap();
    rig.settle();
    assert_eq!(rig.data(), ["1"]);
    assert_eq!(rig.problem_kinds(), [ProblemKind::Ignored; 4]);
    fs::remove_file(rig.inbox("a.ndjson.gz")).unwrap();
    rig.settle();
    assert_eq!(rig.problem_kinds().len(), 3, "a problem ends with its cause");
}

#[test]
fn a_hard_link_is_read_once() {
    let mut rig = Rig::new();
    fs::write(rig.inbox("a.ndjson"), lines(0, 3)).unwrap();
    fs::hard_link(rig.inbox("a.ndjson"), rig.inbox("b.ndjson")).unwrap();
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 3));
    assert!(rig.problem_kinds().contains(&ProblemKind::HardLink));
}

#[test]
fn streams_take_turns() {
    let mut rig = Rig::new();
    let pad = event(format!("\"{}\"", "x".repeat(2000))) + "\n";
    fs::write(rig.inbox("big.ndjson"), pad.repeat(4000)).unwrap();
    fs::write(rig.inbox("small.ndjson"), lines(0, 1)).unwrap();
    rig.tick();
    assert!(rig.data().contains(&"0".to_owned()), "the long file does not keep the short one waiting");
    rig.settle();
    assert_eq!(rig.data().len(), 4001);
}

#[test]
fn work_goes_on_when_the_clock_jumps_back() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 1));
    rig.settle();
    rig.now = rig.now.minus(Duration::from_secs(86_400 * 365));
    append(&rig.inbox("a.ndjson"), lines(1, 2));
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 2));
    assert!(rig.ingest().is_drained());
}

#[test]
fn the_inbox_comes_back() {
    let mut rig = Rig::new();
    fs::remove_dir(rig.spool().join("in")).unwrap();
    rig.settle();
    append(&rig.inbox("a.ndjson"), lines(0, 1));
    rig.settle();
    assert_eq!(rig.data(), ["0"]);
    fs::remove_dir(rig.spool().join("in")).unwrap();
    fs::remove_file(rig.spool().join(".spool-id")).unwrap();
    rig.settle();
    assert!(!rig.spool().join("in").exists(), "it may be an empty mount point");
    assert_eq!(rig.problem_kinds(), [ProblemKind::Unreadable]);
}

#[test]
fn bytes_dribble_in() {
    let mut rig = Rig::new();
    let mut held = appender(&rig.inbox("a.ndjson"));
    for byte in format!("{}\n\n{}\r\n", event(0), event("\"é\"")).bytes() {
        held.write_all(&[byte]).unwrap();
        rig.tick();
    }
    assert_eq!(rig.data(), ["0", "\"é\""]);
}

#[test]
fn producers_of_ours_are_read() {
    let mut rig = Rig::new();
    let producer = Producer::new(Arc::new(OsFiles), &rig.spool(), 100);
    producer.append("a", event(0).replace(',', ",\n").as_bytes(), true).unwrap();
    producer.append("a", event(1).as_bytes(), false).unwrap();
    producer.drop_file("b", &[event(2).as_bytes(), event(3).as_bytes()]).unwrap();
    assert!(matches!(producer.append("a", b"{}", false), Err(ProduceError::NotAnEvent(_))));
    assert!(matches!(producer.append("a", event("\"a\nb\"").as_bytes(), false), Err(ProduceError::NotAnEvent(_))));
    assert!(matches!(producer.append("../a", event(0).as_bytes(), false), Err(ProduceError::BadName { .. })));
    assert!(matches!(
        producer.append("a", event(format!("\"{}\"", "x".repeat(100))).as_bytes(), false),
        Err(ProduceError::TooLong { .. })
    ));
    rig.settle();
    assert_eq!(rig.data(), numbers(0, 4));
    assert!(rig.quarantined().is_empty());
}

#[test]
fn a_removed_segment_does_not_block_its_name() {
    let mut rig = Rig::new();
    let held = appender(&rig.inbox("a.ndjson"));
    rig.tick();
    let claimed = fs::read_dir(rig.spool().join("claimed")).unwrap().next().unwrap().unwrap().path();
    rig.restart();
    fs::remove_file(claimed).unwrap();
    append(&rig.inbox("a.ndjson"), lines(0, 1));
    rig.settle();
    assert_eq!((rig.data(), rig.problem_kinds()), (vec!["0".to_owned()], vec![ProblemKind::Truncated]));
    drop(held);
}
