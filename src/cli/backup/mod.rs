//! Backups: one tar archive with the state, what of the spool is not settled, and the digest of each file.
//!
//! ```text
//!   spoolhook-backup.json      {"format":1,"version":...,"at":...,"record":...}
//!   state/journal/...          the truth; the view is made again from it
//!   state/checkpoint/...  state/replays/...  state/*
//!   spool/claimed/...  spool/archive/...  spool/quarantine/...
//!   SHA256SUMS                 as `sha256sum -c` reads it
//! ```

mod place;
mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use place::{is_in_use, make_durable, place};
pub use read::{Checked, check};
pub use write::{Changed, Held, hold};

/// The first entry.
const HEAD: &str = "spoolhook-backup.json";
/// The last one.
const SUMS: &str = "SHA256SUMS";
/// This program reads no other.
const FORMAT: u32 = 1;

/// What the archive says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub format: u32,
    /// Of the program that wrote it.
    pub version: String,
    /// The moment it holds, RFC 3339.
    pub at: String,
    /// The last record of the journal in it.
    pub record: u64,
}
