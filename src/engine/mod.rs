//! The composition root: builds the parts from a configuration, owns every thread, starts and stops them in order.
//!
//! ```text
//!   intake --records--> committer --durable--> scheduler --jobs--> workers
//!                          ^  |                  ^   |                |
//!                          |  +---- catch-up <---|---+                |
//!                          +-------- outcomes ---+<-------------------+
//! ```
//!
//! Every thread is a loop around a `step` that others can call too. When durability is in doubt the line stops, and it says
//! why. If the cause may pass (a full disk, no file descriptors left), everything is taken down and built again from disk
//! once it has; anything else ends the process.

mod ailing;
pub mod audit;
pub mod backup;
mod boot;
mod catchup;
mod committer;
mod control;
#[cfg(test)]
mod damage;
mod desk;
mod doubt;
#[cfg(debug_assertions)]
mod failpoint;
mod intake;
mod lanes;
mod mend;
mod messages;
mod pool;
mod putaway;
mod receipts;
mod repeats;
mod replays;
#[cfg(test)]
mod retention_tests;
mod room;
mod running;
mod schedule;
#[cfg(test)]
mod simulation;
mod start;
#[cfg(test)]
mod stepped;
mod stretch;
mod supervise;
mod target;
#[cfg(test)]
mod tests;
mod watch;
mod watchdog;
mod webhooks;
mod withdraw;

pub use doubt::{Cause, Doubt};
pub use running::{Engine, EngineError};
pub use supervise::{Order, Supervisor};
pub use webhooks::WebhooksError;
