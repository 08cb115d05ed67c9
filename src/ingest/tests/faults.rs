//! A file system that fails: waiting where it may pass, stopping where it must not go on.

use super::*;
use crate::env::faulty::{Faults, Faulty};

fn faulty(mut rig: Rig) -> (Rig, Arc<Faults>) {
    let (files, faults) = Faulty::new();
    rig.files = files;
    rig.restart();
    (rig, faults)
}

#[test]
fn troubles_that_pass_are_waited_out() {
    let faults = [
        ("list", "/in"),
        ("open", "/in/"),
        ("rename_new", "/in/"),
        ("open", "/claimed/"),
        ("read_at", "/claimed/"),
        ("append", "/quarantine/"),
    ];
    for fault in faults {
        let (mut rig, switch) = faulty(Rig::new());
        append(&rig.inbox("a.ndjson"), lines(0, 2) + "bad\n" + &lines(2, 4));
        switch.set(Some(fault));
        rig.run(Duration::from_secs(30));
        assert!(rig.problem_kinds().contains(&ProblemKind::Unreadable), "{fault:?}");
        let is_in_our_hands = fault.1 != "/in/";
        assert_eq!(rig.ingest().is_drained(), !is_in_our_hands, "{fault:?}");
        switch.set(None);
        rig.run(Duration::from_secs(10));
        assert_eq!((rig.data(), rig.reasons()), (numbers(0, 4), vec!["invalid_json".to_owned()]), "{fault:?}");
        assert_eq!(rig.problem_kinds(), [], "{fault:?}");
    }
}

#[test]
fn a_failed_sync_stops_everything_till_the_spool_is_opened_again() {
    for fault in [("sync_data", "/claimed/"), ("sync_dir", "/claimed"), ("sync_data", "/quarantine/")] {
        let (mut rig, switch) = faulty(Rig::new());
        append(&rig.inbox("a.ndjson"), lines(0, 2) + "bad\n" + &lines(2, 4));
        switch.set(Some(fault));
        let now = rig.now;
        assert!(matches!(rig.ingest().tick(now), Err(IngestError::Durability { .. })), "{fault:?}");
        switch.set(None);
        assert!(matches!(rig.ingest().tick(now), Err(IngestError::Stopped)), "a later success means nothing");
        rig.restart();
        rig.settle();
        assert_eq!((rig.data(), rig.quarantined().len()), (numbers(0, 4), 1), "{fault:?}");
    }
}

#[test]
fn a_copy_that_fails_half_way_is_done_again() {
    let (mut rig, switch) = faulty(Rig::with_log("*.ndjson"));
    append(&rig.logs().join("a.ndjson"), lines(0, 2));
    rig.settle();
    switch.set(Some(("append", "/claimed/")));
    append(&rig.logs().join("a.ndjson"), lines(2, 4));
    rig.run(Duration::from_secs(10));
    assert_eq!(rig.data(), numbers(0, 2));
    assert!(rig.problem_kinds().contains(&ProblemKind::Unreadable));
    switch.set(None);
    rig.run(Duration::from_secs(10));
    assert_eq!((rig.data(), rig.problem_kinds()), (numbers(0, 4), vec![]));
}
