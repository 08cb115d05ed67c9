//! The cases, measured.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde::Serialize;

use super::case::{BODY_BYTES, CONNECTIONS, Case, Kind, Load, ONE};
use super::distribution::{Latency, Point, rates};
use super::engine::Place;
use super::floor::bare_sockets;
use super::load::{event, trickle};
use super::sink::Sink;
use super::stage::{AtWork, Samples, Stage, line};
use super::time::now_ns;
use super::{BenchError, Watcher, failed};
use crate::env::{Files, OsFiles};

/// Events that warm an engine up and give a first idea of its speed.
const FIRST_EVENTS: u64 = 1_000;
/// Of the time of a case, what the second, larger warm-up takes.
const WARM_UP_SHARE: f64 = 0.1;
/// Of the time that is left after it, what the deliveries should take; the rest goes into writing the events.
const DELIVERY_SHARE: f64 = 0.85;
/// A run that took less of the time that was left was sized by an engine that was not warm, and is another warm-up.
const ENOUGH_SHARE: f64 = 0.5;
/// Nor is there an end to warming up when a machine gets slower all the time.
const RUNS_MAX: usize = 4;
/// On the disk, for each event that is measured: its line, and what is kept about it.
const DISK_BYTES_PER_EVENT: u64 = 2_000;
const POINTS_MAX: usize = 60;
/// An engine that has just started is not idle yet.
const SETTLE: Duration = Duration::from_millis(500);

/// What a case came to. What a case does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    pub name: &'static str,
    pub label: &'static str,
    pub deliveries: u64,
    /// From the first delivery to the last, or of quiet.
    pub seconds: f64,
    pub per_second: Option<f64>,
    /// The top rate as a share of the floor's.
    pub of_floor: Option<f64>,
    /// CPU time per delivery: the engine's, or the bare client's.
    pub cpu_us: Option<f64>,
    /// CPU time per second of quiet, in percent of one core.
    pub idle_cpu_percent: Option<f64>,
    pub rss_bytes: Option<u64>,
    pub peak_rss_bytes: Option<u64>,
    pub threads: Option<u64>,
    /// From append to receipt.
    pub latency: Option<Latency>,
    pub timeline: Vec<Point>,
}

/// Measures `cases`, one after the other, in about `budget`.
pub fn run(
    place: &Place,
    cases: &[Case],
    budget: Duration,
    watcher: &mut dyn Watcher,
) -> Result<Vec<Figures>, BenchError> {
    let sink = Sink::start().map_err(failed("listen on loopback"))?;
    let mut all: Vec<Figures> = Vec::new();
    for case in cases {
        let time = case.time(cases, budget);
        watcher.begin(case, time);
        let stage = Stage { case: case.name, place, sink: &sink, watcher, began_ns: now_ns(), time };
        let figures = match case.kind {
            Kind::Floor => floor(stage, case),
            Kind::Backlog(load) => backlog(stage, case, &load),
            Kind::Trickle { per_second } => one_by_one(stage, case, per_second),
            Kind::Idle => idle(stage, case),
        };
        all.push(figures?);
    }
    Ok(against_floor(all))
}

/// The same with the share of the floor's rate, where there is a floor.
fn against_floor(all: Vec<Figures>) -> Vec<Figures> {
    let floor = all.iter().find(|figures| figures.name == "floor").and_then(Figures::top_rate);
    let of_floor = |figures: &Figures| Some(figures.top_rate()? / floor?);
    all.into_iter().map(|figures| Figures { of_floor: of_floor(&figures), ..figures }).collect()
}

impl Figures {
    /// The rate, where it is as high as it could be: not that of a producer who takes his time.
    pub fn top_rate(&self) -> Option<f64> {
        self.per_second.filter(|_| self.latency.is_none())
    }

    fn none(case: &Case) -> Self {
        Self { name: case.name, label: case.label, ..Self::default() }
    }

    /// What the sink has seen, and the CPU time that it took.
    fn delivered(case: &Case, sink: &Sink, samples: &Samples, cpu_seconds: f64) -> Self {
        let (deliveries, seconds) = sink.stats();
        Self {
            deliveries,
            seconds,
            per_second: (seconds > 0.0).then(|| deliveries as f64 / seconds),
            cpu_us: (deliveries > 0).then(|| cpu_seconds * 1e6 / deliveries as f64),
            timeline: rates(samples, POINTS_MAX),
            ..Self::none(case)
        }
    }

    fn with_memory(self, engine: &AtWork) -> Self {
        let (cost, _) = engine.running.cost();
        Self {
            rss_bytes: Some(cost.kib * 1024),
            peak_rss_bytes: Some(cost.peak_kib * 1024),
            threads: Some(cost.threads),
            ..self
        }
    }
}

/// The request that an engine makes of an event, sent again and again by a client on bare sockets.
fn floor(mut stage: Stage<'_>, case: &Case) -> Result<Figures, BenchError> {
    drop(stage.start(&ONE, 1)?);
    let sink = stage.sink;
    let request = sink.first_request();
    sink.reset();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let client =
            scope.spawn(|| bare_sockets(sink.address, &request, CONNECTIONS, || !is_over.load(Ordering::Relaxed)));
        let time = stage.time_left();
        let samples = stage.watch(None, u64::MAX, time);
        is_over.store(true, Ordering::Relaxed);
        let cpu = client.join().expect("a client does not panic").map_err(failed("send on bare sockets"))?;
        Ok(Figures::delivered(case, sink, &samples?, cpu.as_secs_f64()))
    })
}

/// Deliveries of what waits in the spool. How many events that should be, smaller runs before tell; when the time is over
/// sooner than they are delivered, those that were delivered count.
fn backlog(mut stage: Stage<'_>, case: &Case, load: &Load) -> Result<Figures, BenchError> {
    let engine = stage.start(load, FIRST_EVENTS)?;
    let sink = stage.sink;
    let mut written = FIRST_EVENTS;
    let mut deliver = |stage: &mut Stage<'_>, name: &str, events: u64, is_cut: bool| {
        let prepared = engine.home.prepare(name, events, |number| line(load, written + number));
        let prepared = prepared.map_err(failed("write events"))?;
        written += events;
        sink.reset();
        let before = engine.running.cost().0.cpu_seconds;
        prepared.release().map_err(failed("write events"))?;
        let time = if is_cut { stage.time_left() } else { Duration::MAX };
        let samples = stage.watch(Some(&engine), events * load.deliveries_per_event(), time)?;
        Ok::<_, BenchError>((samples, engine.running.cost().0.cpu_seconds - before))
    };
    let events_in = |stage: &Stage<'_>, seconds: f64| {
        let (deliveries, took) = sink.stats();
        let per_second = deliveries as f64 / took.max(1e-3) / load.deliveries_per_event() as f64;
        let room = OsFiles.free_bytes(&stage.place.dir).unwrap_or(u64::MAX) / 2 / DISK_BYTES_PER_EVENT;
        ((per_second * seconds) as u64).clamp(FIRST_EVENTS, room.max(FIRST_EVENTS))
    };

    let warm_up = events_in(&stage, stage.time.as_secs_f64() * WARM_UP_SHARE);
    deliver(&mut stage, "second", warm_up, false)?;
    let mut runs = 1;
    loop {
        let left = stage.time_left().as_secs_f64();
        let events = events_in(&stage, left * DELIVERY_SHARE);
        let (samples, cpu_seconds) = deliver(&mut stage, &format!("run-{runs}"), events, true)?;
        if sink.stats().1 >= left * ENOUGH_SHARE || runs == RUNS_MAX {
            return Ok(Figures::delivered(case, sink, &samples, cpu_seconds).with_memory(&engine));
        }
        runs += 1;
    }
}

/// The age of events at the sink, appended one by one to a file that is kept open.
fn one_by_one(mut stage: Stage<'_>, case: &Case, per_second: u64) -> Result<Figures, BenchError> {
    let engine = stage.start(&ONE, FIRST_EVENTS)?;
    let sink = stage.sink;
    sink.reset();
    let events = (stage.time_left().as_secs_f64() * per_second as f64) as u64;
    let before = engine.running.cost().0.cpu_seconds;
    let is_over = AtomicBool::new(false);
    let samples = thread::scope(|scope| {
        let stamped = |number, at_ns| {
            let line = || event(&ONE.event_type(number), FIRST_EVENTS + number, BODY_BYTES, Some(at_ns));
            (!is_over.load(Ordering::Relaxed)).then(line)
        };
        let inbox = engine.home.inbox();
        let producer = scope.spawn(move || trickle(&inbox, events, per_second, true, stamped));
        let samples = stage.watch(Some(&engine), events, Duration::MAX);
        is_over.store(true, Ordering::Relaxed);
        let written = producer.join().expect("a producer does not panic").map_err(failed("write events"));
        samples.and_then(|samples| written.map(|()| samples))
    })?;
    let cpu_seconds = engine.running.cost().0.cpu_seconds - before;
    let latency = Latency::of(&sink.ages_ns());
    Ok(Figures { latency, ..Figures::delivered(case, sink, &samples, cpu_seconds).with_memory(&engine) })
}

/// An engine that has delivered one event and waits for the next.
fn idle(mut stage: Stage<'_>, case: &Case) -> Result<Figures, BenchError> {
    let engine = stage.start(&ONE, 1)?;
    stage.pause(SETTLE)?;
    let (began_ns, before) = (now_ns(), engine.running.thread_time());
    let time = stage.time_left();
    while Duration::from_nanos(now_ns().saturating_sub(began_ns)) < time {
        stage.pause(SETTLE / 5)?;
    }
    let (seconds, after) = ((now_ns() - began_ns) as f64 / 1e9, engine.running.thread_time());
    let idle_cpu_percent = Some(after.saturating_sub(before).as_secs_f64() * 100.0 / seconds);
    Ok(Figures { seconds, idle_cpu_percent, ..Figures::none(case) }.with_memory(&engine))
}

#[cfg(test)]
mod tests {
    use super::super::CASES;
    use super::*;

    #[test]
    fn shares_are_of_the_floor_and_absent_without_it() {
        let figures = |at: usize, rate| Figures { per_second: rate, ..Figures::none(&CASES[at]) };
        let all = against_floor(vec![figures(0, Some(1_000.0)), figures(1, Some(250.0)), figures(7, None)]);
        let shares: Vec<_> = all.iter().map(|figures| figures.of_floor).collect();
        assert_eq!(shares, [Some(1.0), Some(0.25), None]);
        assert_eq!(against_floor(vec![figures(1, Some(250.0))])[0].of_floor, None);
    }
}
