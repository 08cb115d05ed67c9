//! The thread that feeds jobs to their lanes and writes down how far they are.

use std::time::Duration;

use super::feed::feed;
use crate::engine::doubt::Doubt;
use crate::engine::running::Shared;
use crate::engine::watchdog::{BEAT, Who};

/// While something waits to be sent.
const TICK: Duration = Duration::from_millis(20);
/// How often marks are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Runs until the book is stopped.
pub fn feed_jobs(shared: &Shared) -> Result<(), Doubt> {
    let book = &shared.jobs;
    let mut written = Duration::ZERO;
    let mut is_warned = false;
    let mut wait = TICK;
    while book.wait(wait) {
        shared.pulses.beat(Who::Replays);
        let hungry = book.hungry();
        wait = if hungry.is_empty() { BEAT } else { TICK };
        let feeding = book.try_feeding();
        for id in hungry.iter().filter(|_| feeding.is_some()) {
            while let Some(batch) = book.take_batch(id, shared.clock.monotonic(), false) {
                if feed(shared, batch).is_err() {
                    return Ok(());
                }
                shared.pulses.beat(Who::Replays);
            }
        }
        drop(feeding);
        let now = shared.clock.monotonic();
        if now >= written + WRITE_EVERY {
            written = now;
            // What was not written down is read from the journal by the next start.
            match book.write(shared.clock.now()) {
                Ok(()) => is_warned = false,
                Err(error) if !is_warned => {
                    tracing::warn!(%error, "how far a replay is cannot be written down; it goes on");
                    is_warned = true;
                }
                Err(_) => {}
            }
        }
    }
    Ok(())
}
