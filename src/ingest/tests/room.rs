//! A disk that fills: who waits, what goes on, what is removed before its time.

use super::*;
use crate::ingest::{ProduceError, Producer};

fn retire(rig: &mut Rig) -> usize {
    let now = rig.now;
    rig.ingest().retire(100, now).unwrap().len()
}

#[test]
fn producers_can_be_asked_to_wait() {
    let mut rig = Rig::new();
    for is_on in [true, true, false, false] {
        rig.settings.reserve = Some(if is_on { u64::MAX } else { 0 });
        rig.restart();
        rig.tick();
        assert_eq!(rig.spool().join("BACKPRESSURE").exists(), is_on);
        assert_eq!((rig.ingest().shortage().is_some(), rig.problem_kinds().len()), (is_on, usize::from(is_on)));
        let producer = Producer::new(Arc::new(OsFiles), &rig.spool(), 1 << 20);
        let produced = producer.append("b", br#"{"type":"a.b","data":1}"#, false);
        assert_eq!(matches!(produced, Err(ProduceError::Backpressure { .. })), is_on);
    }
}

#[test]
fn on_a_full_disk_what_is_taken_goes_on_and_what_is_delivered_makes_room() {
    let mut rig = Rig::new();
    append(&rig.inbox("a.ndjson"), lines(0, 2));
    rig.settle();
    assert_eq!(retire(&mut rig), 1);
    append(&rig.inbox("b.ndjson"), lines(2, 4));
    rig.run(Duration::from_millis(500));
    // Nothing is so large that this much is free, and a quarter of it is: claims stop, removals do not.
    let free = OsFiles.free_bytes(&rig.spool()).unwrap();
    rig.settings.reserve = Some(free * 2);
    rig.restart();
    append(&rig.inbox("c.ndjson"), lines(4, 6));
    rig.settle();
    assert_eq!(
        (rig.data(), rig.inbox("c.ndjson").exists()),
        (vec!["0".into(), "1".into(), "2".into(), "3".into()], true)
    );
    let now = rig.now;
    assert_eq!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().len(), 1, "delivered, and far from its age");
    assert_eq!(retire(&mut rig), 1);
    rig.settle();
    assert!(rig.inbox("c.ndjson").exists(), "what is archived goes first");
    assert_eq!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().len(), 1);
    rig.settle();
    assert_eq!(rig.data().len(), 6, "what fills in/ is taken when nothing else is left");
}

#[test]
fn a_removed_segment_is_not_kept_on_disk_by_those_who_read_it() {
    let mut rig = Rig::with(|settings| settings.retention_age = Duration::ZERO);
    append(&rig.inbox("a.ndjson"), lines(0, 2));
    rig.settle();
    let reader = rig.ingest().reader();
    assert_eq!(reader.read(&rig.journal.extents[0], 1).unwrap().len(), 2);
    assert_eq!((retire(&mut rig), rig.ingest().index.open_files().len()), (1, 1));
    let now = rig.now;
    assert_eq!(rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap().len(), 1);
    rig.ingest().retain(now, &|_| Some(Vec::new())).unwrap();
    assert_eq!(rig.ingest().index.open_files().len(), 0);
}
