//! Whatever is changed by hand in the log, the journal, the view or the quarantine, the audit names it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::offline;
use crate::admin::api::Books;
use crate::engine::stepped::{Answer, START, Stepped};
use crate::engine::tests::subscription;
use crate::env::{Files, OsFiles};
use crate::ingest::LogReader;
use crate::model::{Mode, SubId};
use crate::store::{DeliveryKey, ExceptionRow, ExceptionStatus, Record, RowChange, State, frame};

const HEADER: usize = 16;

/// Two lanes with delivered, failed, parked and unknown deliveries, and two lines in the quarantine; nobody runs.
fn past() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let lanes = vec![
        subscription("oms", "standard", Mode::AtLeastOnce, &[3600]),
        subscription("erp", "standard", Mode::AtMostOnce, &[]),
    ];
    let answers = [Answer::Status(500), Answer::Reset, Answer::Status(400), Answer::Refused];
    let mut engine = Stepped::start(dir.path(), lanes, &answers);
    for n in 1..=6 {
        engine.produce(&format!(r#"{{"type":"invoice.created","id":"e{n}","data":{{"n":{n}}}}}"#));
    }
    append(&dir.path().join("spool/in/bad.ndjson"), b"no json\n{\"type\":\"a b\",\"data\":1}\n");
    engine.settle();
    assert_eq!(engine.differences(), Vec::<String>::new());
    drop(engine);
    let (mut state, _) = State::open(Arc::new(OsFiles), &dir.path().join("state"), START).unwrap();
    state.checkpoint().unwrap();
    dir
}

fn append(path: &Path, bytes: &[u8]) {
    let kept = std::fs::read(path).unwrap_or_default();
    std::fs::write(path, [&kept, bytes].concat()).unwrap();
}

fn differences(dir: &Path) -> Vec<String> {
    let (state, _) = State::open(Arc::new(OsFiles), &dir.join("state"), START).unwrap();
    books(&state, dir).differences
}

fn books(state: &State, dir: &Path) -> Books {
    offline(&state.reader(), &LogReader::new(Arc::new(OsFiles), &dir.join("spool"))).unwrap()
}

/// Says which sentence is missing.
fn assert_says(dir: &Path, parts: &[&str]) {
    assert_found(&differences(dir), parts);
}

fn assert_found(found: &[String], parts: &[&str]) {
    let is_said = found.iter().any(|sentence| parts.iter().all(|part| sentence.contains(part)));
    assert!(is_said, "nothing says {parts:?}: {found:#?}");
}

fn file_of(dir: &Path, holds: &str) -> PathBuf {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.is_file());
    files.find(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains(holds)).unwrap()
}

/// Changes a row of a state that is open; which, and what the audit finds before the state is closed: opening it mends a
/// view whose rows are not as many as the books say.
fn change_rows(
    dir: &Path,
    change: impl FnOnce(Vec<(DeliveryKey, ExceptionRow)>) -> RowChange,
) -> (DeliveryKey, Vec<String>) {
    let (mut state, _) = State::open(Arc::new(OsFiles), &dir.join("state"), START).unwrap();
    let view = state.reader().view;
    let change = change((1..=2).flat_map(|sub| view.exceptions(SubId(sub))).map(Result::unwrap).collect());
    let lsn = state.reader().ledger().lsn;
    view.apply(std::slice::from_ref(&change), lsn).unwrap();
    // The view is made durable with its ledger rows.
    state.commit(&[Record::Started { at: START, barrier: None }]).unwrap();
    state.store_ledger().unwrap();
    let found = books(&state, dir).differences;
    match change {
        RowChange::Put(key, _) | RowChange::Delete(key) => (key, found),
    }
}

#[test]
fn nothing_is_said_of_a_state_that_nobody_touched() {
    assert_eq!(differences(past().path()), Vec::<String>::new());
}

#[test]
fn a_tenants_books_are_the_sums_over_its_subscriptions() {
    let dir = tempfile::tempdir().unwrap();
    let lane = |name: &str, tenant: &str| {
        let mut lane = subscription(name, "standard", Mode::AtLeastOnce, &[]);
        lane.filter.tenant = tenant.to_owned();
        lane
    };
    let lanes = vec![lane("a", "acme"), lane("b", "acme"), lane("c", "beta")];
    // Tenants take turns: the second attempt or the third is acme's.
    let answers = [Answer::Status(200), Answer::Status(400), Answer::Status(400)];
    let mut engine = Stepped::start(dir.path(), lanes, &answers);
    for (n, tenant) in ["acme", "acme", "beta", "none"].into_iter().enumerate() {
        engine.produce(&format!(r#"{{"type":"invoice.created","tenant":"{tenant}","id":"e{n}","data":{{}}}}"#));
    }
    engine.settle();
    let books = books(engine.state(), dir.path());
    assert_eq!(books.differences, Vec::<String>::new());
    let sums: Vec<_> = books.tenants.iter().map(|books| (&*books.tenant, books.deliveries)).collect();
    let ended: u64 = sums.iter().map(|(_, books)| books.delivered + books.failed).sum();
    assert_eq!(
        sums.iter().map(|(tenant, books)| (*tenant, books.matched)).collect::<Vec<_>>(),
        [("acme", 4), ("beta", 1)]
    );
    assert_eq!((ended, sums[0].1.delivered > 0, sums[0].1.failed > 0), (5, true, true));
}

#[test]
fn a_line_removed_from_a_segment() {
    let dir = past();
    let segment = file_of(&dir.path().join("spool/claimed"), "\"e3\"");
    let text = std::fs::read_to_string(&segment).unwrap();
    let left: String = text.lines().filter(|line| !line.contains("\"e3\"")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&segment, left).unwrap();
    let name = segment.file_name().unwrap().to_string_lossy()[..26].to_owned();
    assert_says(dir.path(), &["spool:", &name]);
}

#[test]
fn a_segment_removed() {
    let dir = past();
    let segment = file_of(&dir.path().join("spool/claimed"), "\"e3\"");
    OsFiles.unlink(&segment).unwrap();
    let name = segment.file_name().unwrap().to_string_lossy()[..26].to_owned();
    assert_says(dir.path(), &["spool:", &name]);
}

#[test]
fn a_record_removed_from_the_journal() {
    let dir = past();
    let path = file_of(&dir.path().join("state/journal"), "SHJ1");
    let bytes = std::fs::read(&path).unwrap();
    let frames: Vec<frame::Frame<'_>> = frame::scan(&bytes[HEADER..])
        .map(|item| match item {
            frame::Item::Frame(frame) => frame,
            frame::Item::Damage { .. } => panic!("the journal is whole"),
        })
        .collect();
    for frame in frames.iter().filter(|frame| frame.lsn > 0).step_by(3).take(frames.len() / 3 - 1) {
        let cut = [&bytes[..HEADER + frame.start], &bytes[HEADER + frame.end()..]].concat();
        std::fs::write(&path, cut).unwrap();
        let sentence = format!("journal: records {0} to {0} are missing", frame.lsn);
        assert_says(dir.path(), &[&sentence, &path.display().to_string()]);
    }
    let flipped = HEADER + frames[frames.len() / 2].start + frame::HEADER_BYTES + 3;
    let mut damaged = bytes.clone();
    damaged[flipped] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    assert_says(dir.path(), &["journal: bytes", &path.display().to_string()]);
}

#[test]
fn a_row_removed_added_or_changed_in_the_view() {
    for status in [ExceptionStatus::Parked, ExceptionStatus::Failed, ExceptionStatus::Unknown] {
        let dir = past();
        let (key, found) = change_rows(dir.path(), |rows| {
            let row = rows.iter().find(|(_, row)| row.status == status);
            RowChange::Delete(row.unwrap_or_else(|| panic!("{status:?} among {rows:?}")).0)
        });
        let event = format!("delivery of event {} ", key.seq);
        assert_found(&found, &["default/", &event, "has no row in the view"]);
        assert_eq!(differences(dir.path()), Vec::<String>::new(), "a start makes the view anew");
    }
    let dir = past();
    let (key, found) = change_rows(dir.path(), |rows| {
        let (key, row) = rows[0].clone();
        RowChange::Put(DeliveryKey { replay: 7, ..key }, Box::new(row))
    });
    let event = format!("delivery of event {} ", key.seq);
    assert_found(&found, &["default/", &event, "the journal does not know"]);
    assert_eq!(differences(dir.path()), Vec::<String>::new(), "a start makes the view anew");
    let dir = past();
    let (key, found) = change_rows(dir.path(), |rows| {
        let (key, row) = rows[0].clone();
        RowChange::Put(key, Box::new(ExceptionRow { attempts: row.attempts + 1, ..row }))
    });
    let event = format!("delivery of event {} ", key.seq);
    assert_found(&found, &["default/", &event, "with other facts"]);
}

#[test]
fn a_quarantine_file_edited_or_removed() {
    let dir = past();
    let path = file_of(&dir.path().join("spool/quarantine"), "raw_b64");
    let text = std::fs::read_to_string(&path).unwrap();
    let segment = path.file_name().unwrap().to_string_lossy()[..26].to_owned();
    let raw = text.split("\"raw_b64\":\"").nth(1).unwrap();
    let other = format!("QUJD{}", &raw[4..]);
    std::fs::write(&path, text.replacen(raw, &other, 1)).unwrap();
    assert_says(dir.path(), &["quarantine: line", &segment, "other bytes"]);
    std::fs::write(&path, text.replacen("\"len\":8", "\"len\":9", 1)).unwrap();
    assert_says(dir.path(), &["quarantine: line", &segment, "9 bytes"]);
    let second: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, second).unwrap();
    assert_says(dir.path(), &["quarantine: line", &format!("{segment}-0 is missing")]);
    OsFiles.unlink(&path).unwrap();
    assert_says(dir.path(), &["quarantine: line", &segment, "is missing"]);
}
