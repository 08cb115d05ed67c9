//! The engine is killed at the entry of its system calls, one after the other: each that writes, syncs, renames, creates,
//! removes or sends. A spool that was never used and one that is in full use (parked retries, archived segments that are
//! over their time, claims without an outcome) are the beginnings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::judge::{Written, audit, judge};
use super::world::{SURE, Setup, World, decide, seeded};
use crate::support::{BINARY, Sink, wait_until};

const TRACER: &str = include_str!("tracer.py");
/// Says that this machine does not let its processes be traced.
const CANNOT: i32 = 99;
const KILLED: i32 = 137;
/// Calls to be killed at, of each beginning, unless told otherwise.
const FEW: usize = 9;
/// A case mostly waits: for a file to be finished, for a retry.
const AT_ONCE: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);
/// Enough for all the time in which the receiver refuses.
const RETRIES: usize = 50;

fn retry() -> String {
    format!("[{}]", vec![r#""700ms""#; RETRIES].join(", "))
}

fn lines(name: &str, count: usize) -> String {
    (1..=count).fold(String::new(), |mut text, n| {
        let _ =
            writeln!(text, r#"{{"type":"crash.tested","id":"{name}-{n}","data":{{"event":"{name}-{n}","n":{n}}}}}"#);
        text
    })
}

/// A directory to begin from, and what was written in it.
struct Beginning {
    name: &'static str,
    written: BTreeSet<String>,
    earlier: Vec<String>,
    dir: tempfile::TempDir,
}

impl Beginning {
    fn new(name: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("spool/in")).unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        Self { name, written: BTreeSet::new(), earlier: Vec::new(), dir }
    }

    fn write(&mut self, file: &str, name: &str, count: usize) {
        fs::write(self.dir.path().join(file), lines(name, count)).unwrap();
        self.written.extend((1..=count).map(|n| format!("{name}-{n}")));
    }

    fn unused() -> Self {
        let mut fresh = Self::new("unused");
        fresh.write("spool/in/first.ndjson", "first", 12);
        fresh.write("spool/in/second.ndjson", "second", 6);
        fresh.write("log/app.ndjson", "log", 6);
        fresh
    }

    /// Delivered and archived, but for the deliveries that the receiver refuses; cut off by a kill.
    fn used(sink: &Sink) -> Self {
        let mut used = Self::new("used");
        used.write("spool/in/old.ndjson", "old", 16);
        let prefix = "/before".to_owned();
        let mut world = World::new(sink, Setup { prefix: prefix.clone(), retry: retry(), ..Setup::default() });
        copy(used.dir.path(), &world.path(""));
        // Two checkpoints, so that the next one removes one.
        for more in ["a", "b"] {
            fs::write(world.path("spool/in").join(format!("{more}.ndjson")), lines(more, 4)).unwrap();
            used.written.extend((1..=4).map(|n| format!("{more}-{n}")));
            let mut engine = world.engine();
            engine.ready();
            let is_empty = |dir: &str| fs::read_dir(world.path(dir)).is_ok_and(|mut dir| dir.next().is_none());
            let is_archived = wait_until(PATIENCE, || is_empty("spool/in") && is_empty("spool/claimed"));
            assert!(is_archived, "the segments are not archived, see {}", world.path("").display());
            assert_eq!(engine.stop(), Some(0));
        }
        fs::write(world.path("spool/in/late.ndjson"), lines("late", 40)).unwrap();
        used.written.extend((1..=40).map(|n| format!("late-{n}")));
        let taken = sink.seen(&format!("{prefix}{SURE}")).len();
        let mut engine = world.engine();
        sink.wait_for(&format!("{prefix}{SURE}"), taken + 1, PATIENCE);
        engine.kill();
        fs::remove_dir_all(used.dir.path().join("spool")).unwrap();
        fs::remove_dir_all(used.dir.path().join("log")).unwrap();
        copy(&world.path(""), used.dir.path());
        used.earlier.push(prefix);
        used.write("spool/in/new.ndjson", "new", 8);
        // A copy of a log that was read before would be another file.
        used.write("log/app.ndjson", "log", 4);
        used
    }

    /// The beginning again, in a place of its own.
    fn world<'a>(&self, sink: &'a Sink, case: &str) -> World<'a> {
        let prefix = format!("/{}/{case}", self.name);
        let setup =
            Setup { prefix, earlier: self.earlier.clone(), retention: "1ms", retry: retry(), ..Setup::default() };
        let mut world = World::new(sink, setup);
        copy(self.dir.path(), &world.path(""));
        // Engines of the beginning had lower numbers.
        world.run = 10;
        world
    }
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success(), "copy {} to {}", from.display(), to.display());
}

/// Lets the next engine run until it has nothing to do, with `args` for the tracer.
fn traced(world: &mut World, args: &[&str]) -> Output {
    world.next_run();
    let mut command = Command::new("python3");
    command.args(["-c", TRACER]).args(args).arg(BINARY).arg("-c").arg(world.scenario.path("config.toml"));
    command.args(["run", "--until-idle"]).output().expect("this test needs python3")
}

/// How often each kind of call is made when nothing is killed; `None` when this machine does not allow tracing.
fn calls(beginning: &Beginning, sink: &Sink) -> Option<Vec<(String, usize)>> {
    let mut world = beginning.world(sink, "clean");
    let output = traced(&mut world, &["COUNTS"]);
    if output.status.code() == Some(CANNOT) {
        return None;
    }
    assert!(output.status.success(), "{:?} {}", output.status.into_raw(), String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let (kind, count) = line.split_once(' ')?;
        Some((kind.to_owned(), count.parse().ok()?))
    };
    Some(text.lines().filter_map(line).collect())
}

/// Kills at one call and judges what comes of it. Returns where, or `None` when the call was not made this time.
fn kill_at(beginning: &Beginning, sink: &Sink, kind: &str, when: usize) -> Option<String> {
    let mut world = beginning.world(sink, &format!("{kind}-{when}"));
    let output = traced(&mut world, &[kind, &when.to_string()]);
    let said = String::from_utf8_lossy(&output.stdout);
    let killed = output.status.code() == Some(KILLED);
    let place = said.lines().last().unwrap_or_default().to_owned();
    assert!(killed || output.status.success(), "{kind} {when}: {}", String::from_utf8_lossy(&output.stderr));
    // An audit opens the state as an engine does: the books must do with and without one between.
    if when.is_multiple_of(2) && world.path("state/journal").is_dir() {
        audit(&world.scenario);
    }
    world.until_idle();
    let books = audit(&world.scenario);
    let written = Written { surely: beginning.written.clone(), maybe: beginning.written.clone() };
    let mut engine = world.engine();
    engine.ready();
    judge(&world, &written, &books);
    killed.then_some(place)
}

#[test]
fn a_kill_at_any_system_call_loses_nothing_and_sends_nothing_twice_that_must_not_be() {
    let every = std::env::var("SPOOLHOOK_KILL_EVERY").unwrap_or_default();
    let count = if every.is_empty() { FEW } else { every.parse().unwrap_or(usize::MAX) };
    let (_, mut random) = seeded();
    let sink = Sink::start(|path, id, number| {
        let is_chosen = id.bytes().map(u32::from).sum::<u32>().is_multiple_of(8);
        match path {
            path if path.starts_with("/before") => {
                if is_chosen {
                    409
                } else {
                    200
                }
            }
            // Long enough for files to be archived and removed, which is looked after once a second.
            path if path.starts_with("/used") && is_chosen && number <= 4 => 409,
            _ => decide(path, id, number),
        }
    });
    for beginning in [Beginning::unused(), Beginning::used(&sink)] {
        let Some(calls) = calls(&beginning, &sink) else {
            println!("skipped: processes cannot be traced here (PTRACE_GET_SYSCALL_INFO, Linux 5.3)");
            return;
        };
        println!("{}: {calls:?}", beginning.name);
        let mut points: Vec<_> =
            calls.iter().flat_map(|(kind, count)| (1..=*count).map(move |when| (kind, when))).collect();
        random.shuffle(&mut points);
        // One of each kind, then a second one of each, and so on.
        let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
        points.sort_by_cached_key(|(kind, _)| {
            let rank = ranks.entry(kind).or_default();
            *rank += 1;
            *rank
        });
        points.truncate(count);
        let (next, killed) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<&str, usize>::new()));
        let work = || {
            while let Some((kind, when)) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                let place = kill_at(&beginning, &sink, kind, *when);
                println!("{} {kind} {when}: {}", beginning.name, place.as_deref().unwrap_or("not reached"));
                if place.is_some() {
                    *killed.lock().unwrap().entry(kind).or_default() += 1;
                }
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
        let killed = killed.into_inner().unwrap();
        let kills: usize = killed.values().sum();
        assert!(kills * 2 > points.len(), "most calls that a clean run makes are made again: {killed:?}");
        println!("{}: killed {kills} times at {} calls, lost 0, twice 0: {killed:?}", beginning.name, points.len());
    }
}
