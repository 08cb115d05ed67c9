//! The whole engine under glass: the real tailer, router, lanes, scheduler, committer, journal and view, one step at a time in
//! an order drawn from a seed, over a disk that keeps live and durable bytes apart, a clock that can be set, and receivers
//! that answer, fail, hang and break. A seed is a script of steps; after each the promises are checked, and at the end the
//! world is healed, must come to rest, and every line is accounted for.
//!
//! ```text
//!   script (seed) --> World::step --> Machine (the engine's parts) --> Disk, Trees, Receivers
//!                          |                                               |
//!                          +------------------ Judge <---------------------+
//! ```

mod disk;
mod faults;
mod files;
mod heal;
mod housekeeping;
mod judge;
mod machine;
mod mistakes;
mod operator;
mod producers;
mod receivers;
mod script;
mod shrink;
mod tests;
mod trees;
mod world;
