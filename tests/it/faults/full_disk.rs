//! A disk that fills while producers write. `SPOOLHOOK_FULL_DISK_EVENTS` sets the number of events of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::tools::{Disk, Met, PATIENCE, Producer, SURE, judge, names, produce, readiness, scenario, skip};
use crate::support::{Sink, number, wait_until};

const PRODUCERS: usize = 4;
const NEEDS_TMPFS: &str = "the right to mount a tmpfs (root)";

fn count() -> usize {
    number("SPOOLHOOK_FULL_DISK_EVENTS", 1_500) as usize
}

fn start_producers(spool: &std::path::Path, count: usize, met: &Arc<Met>) -> (Vec<Producer>, BTreeSet<String>) {
    let names_of = |index: usize| names(&format!("p{index}"), count);
    let producers = (0..PRODUCERS).map(|index| produce(spool, &format!("p{index}"), count, 4096, met.clone()));
    (producers.collect(), (0..PRODUCERS).flat_map(names_of).collect())
}

#[test]
fn a_disk_that_fills_is_waited_out_and_nothing_is_lost() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "");
    let Some(disk) = Disk::mount(scenario.path("disk"), "size=40m") else { return skip(NEEDS_TMPFS) };
    let mut engine = scenario.engine();
    engine.ready();
    let junk = disk.fill(12 << 20);
    let met = Arc::new(Met::default());
    let spool = scenario.path("disk/spool");
    let (producers, events) = start_producers(&spool, count(), &met);
    let is_full = wait_until(PATIENCE, || met.refused.load(Ordering::SeqCst) + met.torn.load(Ordering::SeqCst) > 50);
    assert!(is_full, "the disk never filled");
    let mut said = (0, String::new());
    let is_told = wait_until(PATIENCE, || {
        said = readiness(&scenario);
        said.0 == 503
    });
    assert!(is_told && (said.1.contains("KiB are free") || said.1.contains("No space")), "{said:?}");
    std::fs::remove_file(junk).unwrap();
    for producer in producers {
        producer.finish();
    }
    let repeats = judge(&scenario, &sink, &events);
    engine.assert_running();
    let gone = wait_until(PATIENCE, || !spool.join("BACKPRESSURE").exists() && readiness(&scenario).0 == 200);
    assert!(gone, "{:?}", readiness(&scenario));
    assert_eq!(engine.stop(), Some(0));
    let (refused, torn) = (met.refused.load(Ordering::SeqCst), met.torn.load(Ordering::SeqCst));
    let rebuilt = scenario.log().matches("the cause is gone").count();
    println!(
        "{} events of 4 producers, disk full ({refused} writes refused, {torn} torn), engine rebuilt {rebuilt} times: \
         lost 0, {repeats} repeated",
        events.len()
    );
}

#[test]
fn what_is_delivered_makes_room_for_what_is_not() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "");
    let Some(_disk) = Disk::mount(scenario.path("disk"), "size=24m") else { return skip(NEEDS_TMPFS) };
    let mut engine = scenario.engine();
    engine.ready();
    let met = Arc::new(Met::default());
    // Twice as much as the disk holds, and retention would keep all of it for a day.
    let (producers, events) = start_producers(&scenario.path("disk/spool"), 3_000, &met);
    let is_written = wait_until(PATIENCE * 2, || producers.iter().all(Producer::is_finished));
    let written = met.accepted.load(Ordering::SeqCst);
    assert!(
        is_written,
        "only {written} of {} events found room; {:?}\n{}",
        events.len(),
        readiness(&scenario),
        scenario.log()
    );
    judge(&scenario, &sink, &events);
    engine.assert_running();
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn a_stop_without_room_for_a_checkpoint_is_a_stop() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "reserve = \"0B\"");
    let Some(disk) = Disk::mount(scenario.path("disk"), "size=16m") else { return skip(NEEDS_TMPFS) };
    let mut engine = scenario.engine();
    engine.ready();
    let met = Arc::new(Met::default());
    produce(&scenario.path("disk/spool"), "a", 50, 16, met).finish();
    judge(&scenario, &sink, &names("a", 50));
    let junk = disk.fill(0);
    assert_eq!(engine.stop(), Some(0), "{}", scenario.log());
    assert!(scenario.log().contains("stopped without a checkpoint"), "{}", scenario.log());
    std::fs::remove_file(junk).unwrap();
    let mut engine = scenario.engine();
    engine.ready();
    assert_eq!(judge(&scenario, &sink, &names("a", 50)), 0);
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn commits_that_find_no_room_stop_the_line_until_there_is() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "reserve = \"0B\"");
    let Some(disk) = Disk::mount(scenario.path("disk"), "size=16m") else { return skip(NEEDS_TMPFS) };
    let mut engine = scenario.engine();
    engine.ready();
    let junk = disk.fill(256 << 10);
    let met = Arc::new(Met::default());
    let producer = produce(&scenario.path("disk/spool"), "a", 20_000, 16, met.clone());
    let mut said = (0, String::new());
    let is_stopped = wait_until(PATIENCE, || {
        said = readiness(&scenario);
        said.0 == 503 && said.1.contains("No space")
    });
    assert!(is_stopped, "{said:?}\n{}", scenario.log());
    let is_waiting = wait_until(PATIENCE, || scenario.cli(&["status"]).json["state"] == "waiting");
    assert!(is_waiting, "{}", scenario.log());
    let sent = sink.wait_for(SURE, usize::MAX, Duration::from_millis(300));
    assert_eq!(sink.wait_for(SURE, usize::MAX, Duration::from_millis(300)), sent, "nothing is sent meanwhile");
    met.stop();
    producer.finish();
    std::fs::remove_file(junk).unwrap();
    let accepted = met.accepted.load(Ordering::SeqCst);
    let repeats = judge(&scenario, &sink, &names("a", accepted));
    engine.assert_running();
    assert_eq!(engine.stop(), Some(0));
    println!("{accepted} events; stopped after {sent}; lost 0, {repeats} repeated");
}

#[test]
fn inodes_that_run_out_are_called_by_their_name() {
    let sink = Sink::start(|_, _, _| 200);
    let scenario = scenario(&sink, "");
    let Some(_disk) = Disk::mount(scenario.path("disk"), "size=16m,nr_inodes=400") else { return skip(NEEDS_TMPFS) };
    let mut engine = scenario.engine();
    engine.ready();
    let crowd = scenario.path("disk/crowd");
    std::fs::create_dir(&crowd).unwrap();
    let made = (0..).take_while(|number| std::fs::write(crowd.join(number.to_string()), "").is_ok()).count();
    let mut said = (0, String::new());
    let is_told = wait_until(PATIENCE, || {
        said = readiness(&scenario);
        said.0 == 503 && said.1.contains("inodes")
    });
    assert!(is_told, "{made} files: {said:?}");
    std::fs::remove_dir_all(&crowd).unwrap();
    assert!(wait_until(PATIENCE, || readiness(&scenario).0 == 200), "{:?}", readiness(&scenario));
    let met = Arc::new(Met::default());
    produce(&scenario.path("disk/spool"), "a", 20, 16, met).finish();
    judge(&scenario, &sink, &names("a", 20));
    assert_eq!(engine.stop(), Some(0));
}
