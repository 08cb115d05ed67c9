//! Faults on demand, for tests of the whole program; not in release builds. `SPOOLHOOK_FAIL=committer:panic` lets that thread
//! panic after three rounds, `scheduler:hang` has it stand still.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_channel::never;

/// Rounds that go well, so that the fault meets a thread at work.
const ROUNDS: u32 = 3;

static WANTED: LazyLock<Option<(String, String)>> = LazyLock::new(|| {
    let text = std::env::var("SPOOLHOOK_FAIL").ok()?;
    text.split_once(':').map(|(thread, fault)| (thread.to_owned(), fault.to_owned()))
});
static SEEN: AtomicU32 = AtomicU32::new(0);

/// Called by `thread` once a round.
pub(super) fn reached(thread: &str) {
    let Some((wanted, fault)) = &*WANTED else { return };
    if wanted != thread || SEEN.fetch_add(1, Ordering::Relaxed) != ROUNDS {
        return;
    }
    match fault.as_str() {
        "panic" => panic!("SPOOLHOOK_FAIL asks for it"),
        _ => drop(never::<()>().recv()),
    }
}
