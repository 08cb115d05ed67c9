//! The composition root: builds the parts from a configuration, owns every thread, starts and stops them in order.
//!
//! ```text
//!   intake --records--> committer --durable--> scheduler --jobs--> workers
//!                          ^  |                  ^   |                |
//!                          |  +---- catch-up <---|---+                |
//!                          +-------- outcomes ---+<-------------------+
//! ```
//!
//! Every thread is a loop around a `step` that others can call too. When durability is in doubt the line stops: the first
//! doubt ends the engine, and it says why.

pub mod audit;
mod boot;
mod catchup;
mod committer;
mod control;
#[cfg(test)]
mod damage;
mod intake;
mod lanes;
mod mend;
mod messages;
mod pool;
mod putaway;
#[cfg(test)]
mod retention_tests;
mod running;
mod schedule;
#[cfg(test)]
mod simulation;
mod start;
#[cfg(test)]
mod stepped;
mod target;
#[cfg(test)]
mod tests;
mod watch;
mod withdraw;

pub use running::{Engine, EngineError, Stop};
