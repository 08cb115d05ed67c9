//! What a user would notice, in one binary.

mod bad_lines;
mod config;
mod layers;
mod reload;
mod usage;
