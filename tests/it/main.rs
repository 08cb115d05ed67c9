//! What a user would notice, in one binary.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may panic, wait and look at the clock")]

mod bad_lines;
mod config;
mod deliveries;
mod layers;
mod reload;
mod usage;
