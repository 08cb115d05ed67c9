//! The engine measured from outside: a child process between a spool on a real disk and a sink on loopback. The benchmarks
//! under `benches/` stand on it.

mod distribution;
mod engine;
mod floor;
mod load;
mod sink;
mod time;
mod usage;

pub use distribution::{median, quantile};
pub use engine::{Home, Place, Running, start};
pub use floor::{bare_sockets, spread};
pub use load::{event, subscription, trickle};
pub use sink::{Sink, Tally, serve};
pub use time::{now_ns, pause};
pub use usage::{Cost, own_cost};
