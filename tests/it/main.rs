//! What a user would notice, in one binary.
#![allow(clippy::unwrap_used, reason = "a test says what it found by failing there")]
#![allow(clippy::print_stdout, reason = "the test harness shows it when a test fails, or is asked to")]
#![allow(clippy::disallowed_methods, reason = "a real process is waited for by looking at it, with a deadline")]

mod audit;
mod backlog;
mod backup;
mod bad_lines;
mod bench;
mod config;
mod crash;
mod deliveries;
mod door;
mod faults;
mod first_use;
mod layers;
mod metrics;
mod openapi;
mod order;
mod peers;
mod poll;
mod produce;
mod reload;
mod replays;
mod schemathesis;
mod support;
mod transcript;
mod usage;
mod webhooks;
mod wire;
