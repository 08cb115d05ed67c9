//! Each kind of damage has one outcome.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::past::{AT_MOST_ONCE, LIMITS, Past, Stop, copy_dir, subscriptions};
use super::trial::{Verdict, judge};
use crate::engine::stepped::{START, Stepped};
use crate::env::{Files, OsFiles};
use crate::store::{State, owe_restore};

fn files(root: &Path, room: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("state").join(room)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn remove(root: &Path, room: &str) {
    std::fs::remove_dir_all(root.join("state").join(room)).unwrap();
}

fn roll_back(root: &Path, past: &Past, room: &str) {
    remove(root, room);
    copy_dir(&past.older[1].path().join(room), &root.join("state").join(room));
}

fn db(root: &Path) -> PathBuf {
    root.join("state/view/db")
}

/// Applies `damage` to every past, and expects the same of all.
fn expect(name: &str, pasts: &[Past], expected: Verdict, damage: impl Fn(&Path, &Past)) {
    for past in pasts {
        assert_eq!(judge(past, |root| damage(root, past)), Ok(expected), "{name}, {:?}", past.stop);
    }
}

#[test]
fn a_damaged_view_costs_nothing() {
    let pasts = [Stop::Killed, Stop::Clean, Stop::KilledEarly].map(Past::make);
    expect("removed", &pasts, Verdict::Mended, |root, _| remove(root, "view"));
    expect("zeroed", &pasts, Verdict::Mended, |root, _| change(&db(root), |bytes| bytes.fill(0)));
    expect("overwritten", &pasts, Verdict::Mended, |root, _| change(&db(root), |bytes| bytes.fill(0xA5)));
    expect("empty", &pasts[..2], Verdict::Mended, |root, _| change(&db(root), Vec::clear));
    expect("no settings of its own", &pasts, Verdict::Unnoticed, |root, _| {
        change(&root.join("state/view/conf"), Vec::clear)
    });
    expect("an older copy", &pasts, Verdict::Unnoticed, |root, past| roll_back(root, past, "view"));
    expect("half a snapshot", &pasts, Verdict::Unnoticed, |root, _| {
        std::fs::write(root.join("state/view/snap.00000000000000FF.generating"), b"half").unwrap();
    });
}

#[test]
fn a_damaged_checkpoint_costs_nothing_even_with_the_view() {
    let pasts = [Stop::Killed, Stop::Clean].map(Past::make);
    let spoil = |root: &Path| files(root, "checkpoint").iter().for_each(|path| change(path, |bytes| bytes[40] ^= 1));
    expect("checkpoints", &pasts, Verdict::Unnoticed, |root, _| spoil(root));
    expect("checkpoints and view", &pasts, Verdict::Mended, |root, _| {
        spoil(root);
        remove(root, "view");
    });
}

#[test]
fn a_damaged_journal_costs_repeats_and_unknowns() {
    let pasts = [Stop::Killed, Stop::Clean, Stop::KilledEarly].map(Past::make);
    expect("removed", &pasts, Verdict::Mended, |root, _| remove(root, "journal"));
    expect("an older copy", &pasts, Verdict::Mended, |root, past| roll_back(root, past, "journal"));
    expect("the last file", &pasts, Verdict::Mended, |root, _| {
        OsFiles.unlink(files(root, "journal").last().unwrap()).unwrap();
    });
    expect("the first file", &pasts, Verdict::Unnoticed, |root, _| {
        OsFiles.unlink(&files(root, "journal")[0]).unwrap();
    });
    expect("the last commit, cut short", &pasts, Verdict::Mended, |root, _| {
        change(files(root, "journal").last().unwrap(), |bytes| bytes.truncate(bytes.len() - 3));
    });
    expect("its end", &pasts, Verdict::Mended, |root, _| {
        change(files(root, "journal").last().unwrap(), |bytes| *bytes.last_mut().unwrap() ^= 0x10);
    });
}

#[test]
fn a_torn_write_behind_the_last_commit_costs_nothing() {
    let pasts = [Stop::Killed, Stop::Clean, Stop::KilledEarly].map(Past::make);
    expect("torn", &pasts, Verdict::Unnoticed, |root, _| {
        change(files(root, "journal").last().unwrap(), |bytes| bytes.extend_from_slice(b"SHJ1\x40\0\0"));
    });
}

#[test]
fn without_any_state_what_is_kept_is_sent_again_and_at_most_once_is_unknown() {
    let pasts = [Stop::Killed, Stop::Clean, Stop::KilledEarly].map(Past::make);
    expect("no state", &pasts, Verdict::Mended, |root, _| std::fs::remove_dir_all(root.join("state")).unwrap());
}

#[test]
fn a_damaged_end_of_the_journal_makes_waiting_at_most_once_deliveries_unknown_once() {
    let past = Past::make(Stop::Killed);
    let dir = tempfile::tempdir().unwrap();
    copy_dir(past.dir.path(), dir.path());
    change(files(dir.path(), "journal").last().unwrap(), |bytes| *bytes.last_mut().unwrap() ^= 0x10);
    let now = past.ended.plus(Duration::from_secs(60));
    let mut engine = Stepped::start_at(dir.path(), subscriptions(), &[], now, LIMITS).unwrap();
    let notices = engine.notices().join("\n");
    assert!(notices.contains("the end of the journal is damaged") || notices.contains("are missing"), "{notices}");
    engine.crash();
    assert_eq!(engine.notices(), Vec::<String>::new(), "it is answered for once");
    engine.run_out();
    assert!(engine.seen().iter().all(|seen| seen.subscription != AT_MOST_ONCE));
    assert_eq!(engine.differences(), Vec::<String>::new());
}

#[test]
fn what_belongs_to_another_state_is_noticed() {
    let past = Past::make(Stop::Clean);
    let other = tempfile::tempdir().unwrap();
    let later = START.plus(Duration::from_secs(3600));
    let mut engine = Stepped::start_at(other.path(), subscriptions(), &[], later, LIMITS).unwrap();
    engine.state().checkpoint().unwrap();
    drop(engine);
    let swap = |root: &Path, rooms: &[&str]| {
        for room in rooms {
            remove(root, room);
            copy_dir(&other.path().join("state").join(room), &root.join("state").join(room));
        }
    };
    assert_eq!(judge(&past, |root| swap(root, &["view"])), Ok(Verdict::Mended));
    assert_eq!(judge(&past, |root| swap(root, &["checkpoint"])), Ok(Verdict::Unnoticed), "none is needed");
    let both = |root: &Path| {
        swap(root, &["checkpoint"]);
        remove(root, "view");
    };
    assert_eq!(judge(&past, both), Ok(Verdict::Mended));
    let alone = |root: &Path| {
        remove(root, "checkpoint");
        swap(root, &["view"]);
    };
    assert_eq!(judge(&past, alone), Ok(Verdict::Mended), "the whole journal is still there");
    assert_eq!(judge(&past, |root| swap(root, &["journal"])), Ok(Verdict::Refused));
}

#[test]
fn damage_in_a_restored_state_is_told_by_a_start_after_a_crash_too() {
    let past = Past::make(Stop::Killed);
    let dir = tempfile::tempdir().unwrap();
    copy_dir(past.dir.path(), dir.path());
    remove(dir.path(), "view");
    let state = dir.path().join("state");
    owe_restore(&OsFiles, &state, "the state was put back").unwrap();
    change(files(dir.path(), "journal").last().unwrap(), |bytes| *bytes.last_mut().unwrap() ^= 0x10);
    // The first is killed before its answer is durable, and has put aside what was damaged.
    for _ in 0..2 {
        let (_, opened) = State::open(Arc::new(OsFiles), &state, past.ended).unwrap();
        let notices = opened.notices.join("\n");
        assert!(!opened.is_restored && notices.contains("put back"), "{notices}");
        assert!(notices.contains("the end of the journal is damaged") || notices.contains("are missing"), "{notices}");
    }
}
