//! What the log of changes keeps, and what it shows to whom.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::admin::caller::{Caller, Scope};
use crate::admin::control::PageRequest;
use crate::admin::fake::NOON;
use crate::env::{ManualClock, OsFiles};

fn open(dir: &Path, bytes_max: u64) -> Changes {
    Changes::open_with(Arc::new(OsFiles), dir, Arc::new(ManualClock::at(NOON)), bytes_max).unwrap()
}

fn change(thing: &str, tenant: Option<&str>) -> NewChange {
    NewChange {
        by: "ops".into(),
        tenant: tenant.map(str::to_owned),
        thing: thing.into(),
        after: Some(serde_json::json!({"state": "paused"})),
        ..NewChange::default()
    }
}

fn things(changes: &Changes, caller: &Caller, limit: u16) -> Vec<String> {
    let (mut things, mut cursor) = (Vec::new(), None);
    loop {
        let page = changes.list(caller, &PageRequest { limit, cursor }).unwrap();
        things.extend(page.data.into_iter().map(|change| change.thing));
        cursor = page.next_cursor;
        if !page.has_more {
            return things;
        }
    }
}

#[test]
fn changes_are_listed_newest_first_and_a_tenant_sees_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let changes = open(dir.path(), 1 << 20);
    for (thing, tenant) in [("a", Some("acme")), ("b", None), ("c", Some("other")), ("d", Some("acme"))] {
        changes.record(change(thing, tenant)).unwrap();
    }
    assert_eq!(things(&changes, &Caller::socket(), 2), ["d", "c", "b", "a"]);
    let acme = Caller { name: "a".into(), scope: Scope::Admin, tenant: Some("acme".into()) };
    assert_eq!(things(&changes, &acme, 1), ["d", "a"]);
    let wrong = PageRequest { limit: 1, cursor: Some("7".into()) };
    assert!(changes.list(&acme, &wrong).is_err());
}

#[test]
fn the_log_goes_on_after_a_start_and_a_torn_line_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), 1 << 20).record(change("first", None)).unwrap();
    let path = dir.path().join("changes.ndjson");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"id\":2,\"at\":");
    std::fs::write(&path, &bytes).unwrap();
    let changes = open(dir.path(), 1 << 20);
    changes.record(change("second", None)).unwrap();
    assert_eq!(things(&changes, &Caller::socket(), 10), ["second", "first"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| line.ends_with('}')) && text.contains("\"id\":2"), "{text}");
}

#[test]
fn two_files_are_kept_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let changes = open(dir.path(), 500);
    for number in 0..20 {
        changes.record(change(&number.to_string(), None)).unwrap();
    }
    let shown = things(&changes, &Caller::socket(), 200);
    assert_eq!(shown[0], "19");
    assert!(shown.len() < 10 && shown.windows(2).all(|pair| pair[0] > pair[1] || pair[0].len() > pair[1].len()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    let again = open(dir.path(), 500);
    again.record(change("20", None)).unwrap();
    let page = again.list(&Caller::socket(), &PageRequest::default()).unwrap();
    assert_eq!(page.data[0].id, 21);
}

#[test]
fn what_is_too_large_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let changes = open(dir.path(), 1 << 20);
    let large = serde_json::json!("x".repeat(100_000));
    changes.record(NewChange { before: Some(large), ..change("big", None) }).unwrap();
    let page = changes.list(&Caller::socket(), &PageRequest::default()).unwrap();
    assert!(page.data[0].before.as_ref().unwrap()["omitted"].is_string());
}
