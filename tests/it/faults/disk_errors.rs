//! Errors of the disk, injected into the real binary by strace: what is in doubt is never sent nor believed, and the exit code
//! and the message tell what to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tools::{
    Disk, PATIENCE, SURE, audit, has_strace, judge, names, nobody_is_blamed, readiness, running, scenario, skip,
    strace, write,
};
use crate::support::{Engine, Scenario, Sink, pause, wait_until};

const NEEDS_STRACE: &str = "strace, or the right to trace";
const IO: Option<i32> = Some(74);

/// A scenario whose engine has run before, and the journal file it will append to.
fn prepared() -> (Sink, Scenario, PathBuf) {
    let (sink, scenario, engine) = running(|_| 200, "");
    assert_eq!(engine.stop(), Some(0));
    let journal = journal_of(&scenario);
    assert!(journal.exists());
    (sink, scenario, journal)
}

/// The same, with an engine whose calls on the journal meet a fault. `None` where nothing can be traced.
fn troubled(inject: &str) -> Option<(Sink, Scenario, Engine)> {
    if !has_strace() {
        skip(NEEDS_STRACE);
        return None;
    }
    let (sink, scenario, journal) = prepared();
    let engine = scenario.engine_under(&strace(inject, &scenario.path("trace"), &[&journal]));
    Some((sink, scenario, engine))
}

/// Writes events bit by bit, so that there are many commits, until the engine has had its fault.
fn provoke(scenario: &Scenario, mut is_over: impl FnMut() -> bool) -> usize {
    let mut written = 0;
    let over = wait_until(PATIENCE, || {
        write(&scenario.path("disk/spool"), &format!("w{written}"), 5);
        written += 1;
        pause(Duration::from_millis(50));
        is_over()
    });
    assert!(over, "the fault did not happen: {}", scenario.log());
    written
}

fn all_names(files: usize) -> std::collections::BTreeSet<String> {
    (0..files).flat_map(|file| names(&format!("w{file}"), 5)).collect()
}

/// Ends an engine with a fault, then lets one without go on. `name` is a file or directory below `disk/`.
/// Returns what strace saw, or nothing where it cannot look.
fn dies(inject: &str, name: impl Fn(&Scenario) -> PathBuf, says: &str) -> Option<String> {
    if !has_strace() {
        skip(NEEDS_STRACE);
        return None;
    }
    let (sink, scenario, _) = prepared();
    let (trace, path) = (scenario.path("trace"), name(&scenario));
    let mut engine = scenario.engine_under(&strace(inject, &trace, &[&path]));
    engine.ready();
    let files = provoke(&scenario, || engine.has_ended());
    assert_eq!(engine.ended(Duration::ZERO), IO, "{}", scenario.log());
    let log = scenario.log();
    assert!(log.contains(says) && log.contains(path.to_str().unwrap()), "{log}");
    assert!(log.contains("help: nothing is lost"), "{log}");
    let mut engine = scenario.engine();
    engine.ready();
    judge(&scenario, &sink, &all_names(files));
    assert_eq!(engine.stop(), Some(0));
    Some(std::fs::read_to_string(trace).unwrap())
}

fn journal_of(scenario: &Scenario) -> PathBuf {
    scenario.path("disk/state/journal/00000000000000000001.journal")
}

#[test]
fn a_failed_sync_of_the_journal_is_final_though_the_next_would_succeed() {
    let Some(trace) = dies("fdatasync:error=EIO:when=8", journal_of, "Input/output error") else { return };
    let failed = trace.lines().position(|line| line.contains("INJECTED")).expect("the fault was injected");
    let after: Vec<_> = trace.lines().skip(failed + 1).filter(|line| line.contains("fdatasync(")).collect();
    assert!(after.is_empty(), "a sync was tried again: {after:?}");
}

#[test]
fn a_failed_write_of_the_journal_ends_the_engine() {
    dies("write:error=EIO:when=8", journal_of, "Input/output error");
}

#[test]
fn a_file_system_that_turns_read_only_ends_the_engine() {
    dies("write:error=EROFS:when=8", journal_of, "Read-only file system");
}

#[test]
fn a_failed_sync_of_the_spool_ends_the_engine() {
    dies("fsync:error=EIO:when=3", |scenario| scenario.path("disk/spool/claimed"), "Input/output error");
}

#[test]
fn a_quota_that_is_reached_again_and_again_is_waited_out_in_the_same_process() {
    let Some((sink, scenario, mut engine)) = troubled("write:error=EDQUOT:when=60") else { return };
    engine.ready();
    let files = provoke(&scenario, || scenario.log().contains("the cause is gone"));
    judge(&scenario, &sink, &all_names(files));
    engine.assert_running();
    let log = scenario.log();
    assert!(log.contains("Disk quota exceeded") || log.contains("Quota exceeded"), "{log}");
    stop(&scenario, engine);
}

/// Stops an engine that runs under strace.
fn stop(scenario: &Scenario, mut engine: Engine) {
    let pid = std::fs::read_to_string(scenario.path("disk/state/lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(engine.ended(PATIENCE), Some(0), "{}", scenario.log());
}

#[test]
fn a_disk_that_hangs_is_named_and_waited_for() {
    let Some((sink, scenario, mut engine)) = troubled("fdatasync:delay_enter=14000000:when=8") else { return };
    engine.ready();
    let mut said = (0, String::new());
    let files = provoke(&scenario, || {
        said = readiness(&scenario);
        said.0 == 503
    });
    assert!(said.1.contains("\"committer\"") && said.1.contains("did not move"), "{said:?}");
    judge(&scenario, &sink, &all_names(files));
    let fine = wait_until(PATIENCE, || readiness(&scenario).0 == 200);
    assert!(fine, "{:?}", readiness(&scenario));
    nobody_is_blamed(&scenario);
    engine.assert_running();
    stop(&scenario, engine);
}

#[test]
fn slow_syncs_slow_the_flow_and_nothing_else() {
    let Some((sink, scenario, engine)) = troubled("fdatasync:delay_enter=200000") else { return };
    write(&scenario.path("disk/spool"), "first", 1);
    assert_eq!(sink.wait_for(SURE, 1, PATIENCE), 1);
    let pid = std::fs::read_to_string(scenario.path("disk/state/lock")).unwrap();
    let memory = |pid: &str| {
        let status = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
        line.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = memory(&pid);
    write(&scenario.path("disk/spool"), "more", 1_500);
    let mut events = names("more", 1_500);
    events.insert("first-0".to_owned());
    judge(&scenario, &sink, &events);
    let grown = memory(&pid).saturating_sub(before);
    assert!(grown < 48 << 10, "{grown} KiB more memory");
    nobody_is_blamed(&scenario);
    println!("1,500 events, 200 ms per sync: {grown} KiB more memory, no attempt failed");
    stop(&scenario, engine);
}

#[test]
fn a_read_only_disk_is_refused_at_start() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "");
    let Some(disk) = Disk::mount(scenario.path("disk"), "size=16m") else {
        return skip("the right to mount a tmpfs (root)");
    };
    let mut engine = scenario.engine();
    engine.ready();
    assert_eq!(engine.stop(), Some(0));
    disk.remount("ro");
    let refused = scenario.run(&["run"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), IO, "{text}");
    assert!(text.contains("Read-only file system") && text.contains("disk/state"), "{text}");
    disk.remount("rw");
    audit(&scenario);
}
