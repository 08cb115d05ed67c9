//! The engine measured from outside: a child process between a spool on a real disk and a sink on loopback. `spoolhook
//! bench` and the benchmarks under `benches/` stand on it. It answers with numbers; tables and plots are the caller's.
//!
//! [`run`] takes the chosen of the [`CASES`] one after the other. A [`Watcher`] hears how far it is and may end it; however
//! a run ends, engines are ended and their directories removed.

mod case;
mod distribution;
mod engine;
mod floor;
mod load;
mod machine;
mod measure;
mod sink;
mod stage;
mod time;
mod usage;

use std::io;
use std::time::Duration;

pub use case::{CASES, Case};
pub use distribution::{Bucket, Latency, Point, median, quantile};
pub use engine::{Home, Place, Running, start};
pub use floor::{bare_sockets, spread};
pub use load::{event, subscription, trickle};
pub use machine::{Machine, describe};
pub use measure::{Figures, run};
pub use sink::{Sink, Tally, serve};
pub use time::{now_ns, pause};
pub use usage::{Cost, own_cost};

/// Who looks on while cases run.
pub trait Watcher {
    /// A case begins and will take about this long.
    fn begin(&mut self, case: &Case, time: Duration);
    /// The running case is done by this share, from 0 to 1, and so many deliveries of it have arrived.
    fn progress(&mut self, share: f64, deliveries: u64);
    /// Lets time pass; `Interrupted` when somebody wants an end.
    fn pause(&mut self, time: Duration) -> Result<(), BenchError>;
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("interrupted")]
    Interrupted,
    #[error("cannot {doing}")]
    Io { doing: &'static str, source: io::Error },
    /// With the end of its log.
    #[error("{case}: the engine ended before its work was done")]
    Ended { case: &'static str, log: String },
    #[error("{case}: nothing was delivered for {seconds} s")]
    Stuck { case: &'static str, seconds: u64, log: String },
}

/// Gives an error of the machine the words for what was done.
fn failed(doing: &'static str) -> impl FnOnce(io::Error) -> BenchError {
    move |source| BenchError::Io { doing, source }
}
