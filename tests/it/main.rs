//! What a user would notice, in one binary.
#![allow(clippy::unwrap_used, reason = "a test says what it found by failing there")]

mod bad_lines;
mod config;
mod crash;
mod layers;
mod peers;
mod reload;
mod support;
mod usage;
mod wire;
