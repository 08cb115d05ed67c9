//! How many log lines of each level were written: the one number that belongs to the process and not to an engine.

use std::sync::atomic::{AtomicU64, Ordering};

/// The levels, the worst first.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

static COUNTS: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];

/// Counts one line; `level` is an index into [`LEVELS`].
pub fn note_log_message(level: usize) {
    if let Some(count) = COUNTS.get(level) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lines so far, by level.
pub fn log_messages() -> [(&'static str, u64); 5] {
    std::array::from_fn(|at| (LEVELS[at], COUNTS[at].load(Ordering::Relaxed)))
}
