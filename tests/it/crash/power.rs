//! The power is cut: an ext4 file system of its own, shut down without its journal being flushed, and mounted again.
//! What a producer was told is durable arrives, what was sent is still there, and nothing is sent twice that must not be.

mod disk;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::judge::{Findings, Written, audit, judge};
use super::world::{SURE, Setup, World, decide, seeded};
use crate::support::{Sink, number, pause, wait_until};
use disk::Disk;

const PRODUCERS: &str = include_str!("power/producers.py");
/// Power cuts that one spool and state live through.
const LIVES: u64 = 8;
/// Events written before the power may go, except while an engine starts.
const WRITTEN_FIRST: usize = 40;
const PATIENCE: Duration = Duration::from_secs(60);

/// One producer of each kind, for the time between two cuts. They end with the file system, or on drop.
struct Producers(Vec<Child>);

impl Producers {
    fn start(world: &World, tag: &str) -> Self {
        let start = |kind: &str| {
            let mut command = Command::new("python3");
            command.args(["-c", PRODUCERS, kind]).arg(world.path("")).arg(world.scenario.path("notes")).arg(tag);
            command.stdin(Stdio::null()).spawn().expect("this test needs python3")
        };
        Self(["synced", "careless", "dropped", "log"].map(start).into())
    }

    fn stop(&self) {
        self.0.iter().for_each(|child| kill_process(Pid::from_child(child), Signal::STOP).expect("stop a producer"));
    }
}

impl Drop for Producers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Fails only for a process that is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What the producers noted: the events that were written, and of those the ones that were made durable.
fn notes(world: &World) -> Written {
    let text = fs::read_to_string(world.scenario.path("notes")).unwrap_or_default();
    let marked = |mark: &str| text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect();
    Written { surely: marked("! "), maybe: marked("? ") }
}

/// Waits until the producers have written something and the receiver has got something.
fn until_busy(world: &World, noted: usize, arrived: usize) {
    let is_busy =
        wait_until(PATIENCE, || notes(world).maybe.len() >= noted + WRITTEN_FIRST && world.seen(SURE).len() > arrived);
    assert!(is_busy, "nothing is written or nothing arrives, see {}", world.scenario.path("").display());
}

/// An engine and producers at work, and the power goes.
fn live_and_die(world: &mut World, disk: &Disk, tag: &str, random: &mut fastrand::Rng) {
    let switch = disk.switch();
    let (noted, arrived) = (notes(world).maybe.len(), world.seen(SURE).len());
    let producers = Producers::start(world, tag);
    let engine = world.engine();
    let mut upto_ms = |most: u64| Duration::from_micros(random.u64(0..most * 1000));
    let (first, second) = (upto_ms(1000), upto_ms(50));
    let how = random.u32(..6);
    if how > 0 {
        until_busy(world, noted, arrived);
    }
    match how {
        // While it starts.
        0 => pause(first / 3),
        1 | 2 => pause(first / 4),
        // Files are finished, archived and removed once a second.
        3 => pause(first * 2),
        // While it stops, and writes a checkpoint.
        4 => {
            engine.signal(Signal::TERM);
            pause(second * 3);
        }
        // While it loads its configuration again.
        _ => {
            world.next_run();
            engine.signal(Signal::HUP);
            pause(second);
        }
    }
    // Without power nobody runs on and is told that a sync went well which the cut undid.
    engine.signal(Signal::STOP);
    producers.stop();
    switch.cut_power();
    engine.end();
    drop(producers);
    disk.unmount();
    disk.mount();
}

fn files_below(dir: &Path, text: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, text);
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
}

/// Events that the receiver got and that no file of the spool has.
fn phantoms(world: &World) -> BTreeSet<String> {
    let mut text = String::new();
    files_below(&world.path("spool"), &mut text);
    let kept: BTreeSet<&str> = text.split("\"event\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let arrived = world.seen(SURE).into_values().filter(|seen| seen.whole > 0).map(|seen| seen.event);
    arrived.filter(|event| !kept.contains(event.as_str())).collect()
}

/// Lives through `cuts`, on a new file system. `None`: this machine does not let us have one.
fn one_world(sink: &Sink, cuts: u64, number: u64, random: &mut fastrand::Rng) -> Option<Findings> {
    let keeps_all = random.bool();
    let retention = if keeps_all { "24h" } else { "1s" };
    let setup = Setup { base: "disk/", retention, prefix: format!("/{number}"), ..Setup::default() };
    let mut world = World::new(sink, setup);
    let disk = Disk::make(&world.scenario.path("disk.img"), &world.path(""))?;
    fs::create_dir(world.path("log")).unwrap();
    disk.sync();
    for life in 1..=cuts {
        live_and_die(&mut world, &disk, &life.to_string(), random);
        // An audit opens the state as an engine does.
        if random.bool() && world.path("state/journal").is_dir() {
            audit(&world.scenario);
        }
        if random.u32(..3) == 0 {
            world.until_idle();
        }
    }
    world.until_idle();
    let books = audit(&world.scenario);
    let mut engine = world.engine();
    engine.ready();
    let findings = judge(&world, &notes(&world), &books);
    // A file that moves while it is looked for would be missed.
    engine.kill();
    if keeps_all {
        let phantoms = phantoms(&world);
        assert!(phantoms.is_empty(), "sent, and no longer there: {phantoms:?}");
    }
    let log = world.scenario.log();
    let panics: Vec<_> = log.lines().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
    Some(findings)
}

#[test]
fn power_cuts_lose_nothing_accepted_and_send_nothing_twice_that_must_not_be() {
    let cuts = number("SPOOLHOOK_POWER_CUTS", 6);
    let (_, mut random) = seeded();
    let sink = Sink::start(decide);
    let (mut done, mut events, mut accepted, mut repeated, mut repeated_max, mut unknown) = (0, 0, 0, 0, 0, 0);
    while done < cuts {
        let lives = LIVES.min(cuts - done).min(1 + done);
        let Some(findings) = one_world(&sink, lives, done, &mut random) else {
            println!("skipped: no ext4 file system can be made and mounted here (root and loop devices)");
            return;
        };
        done += lives;
        events += findings.events;
        accepted += findings.accepted;
        repeated += findings.repeated;
        repeated_max = findings.repeated_max.max(repeated_max);
        unknown += findings.unknown;
    }
    println!(
        "{done} power cuts, {events} events, {accepted} of them accepted by their producers' syncs: lost 0, phantom 0, \
         unopenable 0, {repeated} repeated ({repeated_max} by one cut); at-most-once sent twice 0, {unknown} unknown"
    );
}
