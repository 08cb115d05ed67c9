//! What ingest is told: where the spool and the logs are, and the limits and waits of the spool protocol.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the spool and of the logs beside it.
#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// The spool directory; producers write into its `in/`.
    pub dir: PathBuf,
    /// Longest line in bytes, without its line end.
    pub max_line: usize,
    /// How long, and how many bytes of, fully delivered segments are kept.
    pub retention_age: Duration,
    pub retention_size: u64,
    /// Shortest time between two claims of the same name: bounds the number of segments an appending script causes.
    pub claim_interval: Duration,
    /// Longest time between two looks at the directories.
    pub scan_interval: Duration,
    /// A segment is sealed when nobody could write to it at two moments this far apart.
    pub seal_grace: Duration,
    /// Where the kernel does not say who writes: sealed when it did not grow for this long.
    pub seal_idle: Duration,
    pub logs: Vec<LogSettings>,
    /// Bytes kept free on the file systems of the spool and of `beside`; `None`: a share of each, 0: nothing is kept.
    pub reserve: Option<u64>,
    /// Directories beside the spool that become full with it.
    pub beside: Vec<PathBuf>,
    /// Seed of the random part of segment names.
    pub seed: u64,
}

impl IngestSettings {
    /// The spool at `dir` with the protocol's numbers.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_line: 1 << 20,
            retention_age: Duration::from_secs(24 * 3600),
            retention_size: 1 << 30,
            claim_interval: Duration::from_millis(250),
            scan_interval: Duration::from_secs(1),
            seal_grace: Duration::from_secs(1),
            seal_idle: Duration::from_secs(600),
            logs: Vec::new(),
            reserve: Some(0),
            beside: Vec::new(),
            seed: fastrand::u64(..),
        }
    }

    /// The directories in which something happens that a tick should see soon.
    pub fn watched_dirs(&self) -> Vec<PathBuf> {
        let spool = ["in", "claimed"].map(|name| self.dir.join(name));
        spool.into_iter().chain(self.logs.iter().map(|log| log.dir.clone())).collect()
    }
}

/// A directory of append-only files that someone else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Names the log in segment names, cursors and reports; must stay the same over restarts.
    pub name: String,
    pub dir: PathBuf,
    /// File names to read: `*` stands for any run of characters, `?` for one.
    pub pattern: String,
}
