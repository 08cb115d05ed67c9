//! The bytes of requests as the real program sends them, one file per promise.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod awkward;
mod carbon;
mod retries;
