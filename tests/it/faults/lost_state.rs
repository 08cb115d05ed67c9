//! A state directory that is gone, in the worst case: nothing is left of the spool either, and a log of somebody else's still
//! holds what was sent before.

use std::fs::File;
use std::io::Write;
use std::ops::Range;

use serde_json::Value;

use super::tools::{ONCE, PATIENCE, SURE, audit, running};
use crate::support::wait_until;

fn of<'a>(books: &'a Value, name: &str) -> &'a Value {
    let all = books["subscriptions"].as_array().expect("a list");
    all.iter().find(|books| books["subscription"] == name).expect("the subscription has books")
}

#[test]
fn lines_of_a_log_that_were_sent_at_most_once_are_not_sent_again() {
    let (sink, scenario, engine) = running(|_| 200, "[[log]]\ndir = \"state\"\npattern = \"erp.ndjson\"");
    let mut log = File::create(scenario.path("state/erp.ndjson")).unwrap();
    let mut append = |numbers: Range<u32>| {
        let line = |number| format!("{{\"type\":\"item.changed\",\"id\":\"l{number}\",\"data\":{number}}}\n");
        log.write_all(numbers.map(line).collect::<String>().as_bytes()).unwrap();
    };
    append(0..5);
    for path in [SURE, ONCE] {
        assert_eq!(sink.wait_for(path, 5, PATIENCE), 5);
    }
    assert_eq!(engine.stop(), Some(0));
    for dir in ["disk/state", "disk/spool/claimed", "disk/spool/archive"] {
        std::fs::remove_dir_all(scenario.path(dir)).unwrap();
    }
    append(5..6);
    let mut engine = scenario.engine();
    engine.ready();
    append(6..7);
    let settled = wait_until(PATIENCE, || of(&scenario.cli(&["audit"]).json, "once")["delivered"] == 1);
    assert!(settled, "{}", scenario.log());
    let books = audit(&scenario);
    assert_eq!(of(&books, "once")["unknown"], 6, "what lay there at the start may have been sent: {books:#}");
    assert!(sink.seen(ONCE).values().all(|seen| seen.begun == 1), "{:?}", sink.seen(ONCE));
    let newest: Vec<_> = sink.seen(SURE).into_values().map(|seen| seen.event).collect();
    assert!((0..7).all(|number| newest.contains(&format!("l{number}"))), "{newest:?}");
    assert_eq!(engine.stop(), Some(0));
}
