//! Log lines of the processes that stay: to stderr, as text on a terminal, as lines with a priority under systemd, as
//! JSON anywhere else.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use super::args::Global;

/// Starts logging. `SPOOLHOOK_LOG` takes filter directives (`info,spoolhook::ingest=debug`) and wins over the flags.
pub fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (_, 0) => "info",
        (_, 1) => "debug",
        _ => "trace",
    };
    let filter =
        EnvFilter::try_from_env("SPOOLHOOK_LOG").unwrap_or_else(|_| EnvFilter::new(format!("spoolhook={level}")));
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // A second start, as in tests, keeps the first.
    let _ = match (io::stderr().is_terminal(), std::env::var_os("JOURNAL_STREAM")) {
        (true, _) => base.compact().try_init(),
        // The journal adds the time itself.
        (false, Some(_)) => base.without_time().with_ansi(false).compact().try_init(),
        (false, None) => base.json().flatten_event(true).try_init(),
    };
}
