//! The bytes of requests as the real program sends them, one file per promise.

mod awkward;
mod carbon;
mod retries;
