//! What a user would notice, in one binary.
#![allow(clippy::unwrap_used, reason = "a test says what it found by failing there")]

mod layers;
mod peers;
mod wire;
