//! One engine at work between a home and the sink, and the looks at it while deliveries arrive.

use std::time::Duration;

use super::case::{BODY_BYTES, Load};
use super::engine::{Home, Place, Running};
use super::load;
use super::sink::Sink;
use super::time::now_ns;
use super::{BenchError, Watcher, failed};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// What slow machines get for a measurement, though the time of the case is over.
const LEAST: Duration = Duration::from_millis(500);
/// Without a delivery for so long, nothing more is expected.
const STALL: Duration = Duration::from_secs(60);
/// Lines of an engine's log that an error repeats.
const LOG_LINES: usize = 10;

/// What measurements have in common.
pub(super) struct Stage<'a> {
    pub case: &'static str,
    pub place: &'a Place,
    pub sink: &'a Sink,
    pub watcher: &'a mut dyn Watcher,
    pub began_ns: u64,
    pub time: Duration,
}

/// An engine that has delivered its first events.
pub(super) struct AtWork {
    pub running: Running,
    pub home: Home,
}

/// What looks have seen: counts at times.
pub(super) type Samples = Vec<(u64, u64)>;

impl Stage<'_> {
    pub(super) fn home(&self, load: &Load) -> Result<Home, BenchError> {
        let delivery = format!("mode = \"{}\"\nworkers = {}\nmax_in_flight = 32", load.mode, load.workers);
        let subscription = |at| {
            let url = format!("http://{}/hook/{at}", self.sink.address);
            load::subscription(&format!("s{at}"), &url, &load.pattern(at))
        };
        let subscriptions: String = (0..load.subscriptions()).map(subscription).collect();
        Home::new(self.place, self.case, &delivery, &subscriptions).map_err(failed("prepare an engine"))
    }

    /// Starts an engine and waits until it has delivered `events`.
    pub(super) fn start(&mut self, load: &Load, events: u64) -> Result<AtWork, BenchError> {
        let home = self.home(load)?;
        self.sink.reset();
        home.fill("first", events, |number| line(load, number)).map_err(failed("write events"))?;
        let running = home.run(false).map_err(failed("start an engine"))?;
        let engine = AtWork { running, home };
        self.watch(Some(&engine), events * load.deliveries_per_event(), Duration::MAX)?;
        Ok(engine)
    }

    /// Until the case should be done; never less than what shows anything.
    pub(super) fn time_left(&self) -> Duration {
        let passed = Duration::from_nanos(now_ns().saturating_sub(self.began_ns));
        self.time.saturating_sub(passed).max(LEAST)
    }

    /// Looks until `deliveries` have arrived, or some have and so much time is over.
    pub(super) fn watch(
        &mut self,
        engine: Option<&AtWork>,
        deliveries: u64,
        time: Duration,
    ) -> Result<Samples, BenchError> {
        let began_ns = now_ns();
        let mut samples = vec![(began_ns, self.sink.count())];
        let mut moved_ns = began_ns;
        loop {
            self.pause(LOOK)?;
            let (now_ns, (before_ns, before)) = (now_ns(), samples[samples.len() - 1]);
            let count = self.sink.count();
            samples.push((now_ns.max(before_ns + 1), count));
            if count > before {
                moved_ns = now_ns;
            }
            if count >= deliveries || (count > 1 && Duration::from_nanos(now_ns.saturating_sub(began_ns)) >= time) {
                return Ok(samples);
            }
            if let Some(engine) = engine
                && engine.running.cost().1
            {
                // A ^C reaches the engine too, and may end it before we hear of it.
                self.pause(LOOK)?;
                return Err(BenchError::Ended { case: self.case, log: last_lines(&engine.home.log()) });
            }
            if Duration::from_nanos(now_ns.saturating_sub(moved_ns)) > STALL {
                let log = engine.map(|engine| last_lines(&engine.home.log())).unwrap_or_default();
                return Err(BenchError::Stuck { case: self.case, seconds: STALL.as_secs(), log });
            }
        }
    }

    /// Lets time pass and says how far the case is.
    pub(super) fn pause(&mut self, time: Duration) -> Result<(), BenchError> {
        let passed = now_ns().saturating_sub(self.began_ns) as f64 / 1e9;
        self.watcher.progress((passed / self.time.as_secs_f64()).min(1.0), self.sink.count());
        self.watcher.pause(time)
    }
}

/// An event of `load`, 500 bytes.
pub(super) fn line(load: &Load, number: u64) -> String {
    load::event(&load.event_type(number), number, BODY_BYTES, None)
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_the_end_of_the_log() {
        let log: String = (0..30).map(|number| format!("{number}\n")).collect();
        assert_eq!(last_lines(&log).lines().collect::<Vec<_>>()[..2], ["20", "21"]);
        assert_eq!(last_lines(""), "");
    }
}
