//! What a user would notice, in one binary.
#![allow(clippy::unwrap_used, reason = "a test says what it found by failing there")]

mod bad_lines;
mod config;
mod layers;
mod peers;
mod reload;
mod usage;
mod wire;
