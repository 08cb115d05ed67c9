//! What a backup consists of, on the wire.

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::Timestamp;

/// A moment between two commits: so many bytes of these files are that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPlan {
    #[serde(with = "text")]
    pub at: Timestamp,
    /// The last record of the journal in it.
    pub record: u64,
    /// Files of producers that nobody has taken in yet: they are not part of it.
    pub waiting_files: u64,
    pub files: Vec<BackupFile>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Its name in the archive: `state/journal/...`, `spool/claimed/...`.
    pub name: String,
    /// Where it lies on the engine's machine.
    pub path: String,
    /// So many of its bytes belong to the moment.
    pub bytes: u64,
    /// Of these bytes, in hex, where the file may be replaced by another of its name. If it differs, the moment is over: another
    /// plan is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
