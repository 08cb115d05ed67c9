//! The `spoolhook` binary of this build as a child, with its home on the disk of the target directory.

use std::io;
use std::time::Duration;

use spoolhook::bench::{Home, Place, pause};

const TAKEN_LOOKS_MAX: u32 = 2400;

/// `delivery`: lines of the `[delivery]` table. `subscriptions`: see [`spoolhook::bench::subscription`].
pub fn home(delivery: &str, subscriptions: &str) -> io::Result<Home> {
    let place = Place {
        program: env!("CARGO_BIN_EXE_spoolhook").into(),
        dir: env!("CARGO_TARGET_TMPDIR").into(),
        is_kept: false,
    };
    Home::new(&place, "bench", delivery, subscriptions)
}

/// Waits until an engine runs there and has taken in so many events.
pub fn wait_until_taken(home: &Home, events: u64) -> io::Result<()> {
    let taken = || {
        let output = home.command("status").arg("--json").output().ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        answer["spool"]["events"].as_u64()
    };
    for _ in 0..TAKEN_LOOKS_MAX {
        if taken().is_some_and(|taken| taken >= events) {
            return Ok(());
        }
        pause(Duration::from_millis(50));
    }
    Err(io::Error::other(format!("{events} events were not taken in: {}", home.log())))
}
