//! What a backup consists of. Journal and checkpoints only grow, and are complete at every end of a commit: their names and
//! lengths between two commits are a snapshot, and whoever copies so many bytes of them copies that moment.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crossbeam_channel::bounded;

use super::messages::{Entry, Then};
use super::running::Shared;
use crate::admin::api::{BackupFile, BackupPlan};
use crate::env::FileKind;
use crate::ingest::inventory;
use crate::model::Timestamp;
use crate::store::{StateReader, ViewError};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the engine has stopped")]
    Stopped,
    #[error("list the files of {place}: {source}")]
    Io { place: String, source: io::Error },
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Directories of the state that hold what is decided; the view is made again from them.
const KEPT_DIRS: [&str; 2] = ["journal", "checkpoint"];

/// Names in the state directory that belong to a running process or to a recovery.
fn is_passing(name: &str) -> bool {
    name == "lock"
        || name == "recovering"
        || name.ends_with('~')
        || name.starts_with(".room")
        || name.ends_with(".tmp")
        || name.contains(".damaged-")
}

/// The plan of a running engine, made between two commits.
pub(super) fn online(shared: &Shared) -> Result<BackupPlan, BackupError> {
    let (answer, wait) = bounded(1);
    let (spool, now) = (shared.config().spool.dir.clone(), shared.clock.now());
    let look = Then::Inspect(Box::new(move |state: &crate::store::State| {
        let _ = answer.send(plan(&state.reader(), state.dir(), &spool, now));
    }));
    shared.entries.send(Entry::new(Vec::new(), look)).map_err(|_| BackupError::Stopped)?;
    wait.recv().map_err(|_| BackupError::Stopped)?
}

/// The plan of a state that nobody changes meanwhile.
pub fn plan(state: &StateReader, dir: &Path, spool: &Path, now: Timestamp) -> Result<BackupPlan, BackupError> {
    let files = &*state.files;
    let list = |at: &Path| match files.list(at) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(BackupError::Io { place: at.display().to_string(), source }),
        Ok(entries) => Ok(entries),
    };
    let mut parts = Vec::new();
    for sub in KEPT_DIRS.iter().map(Path::new).chain([Path::new("")]) {
        let at = dir.join(sub);
        for entry in list(&at)? {
            let Some(name) = entry.name.to_str().filter(|name| !is_passing(name)) else { continue };
            if entry.stat.kind == FileKind::Regular {
                let within = Path::new("state").join(sub).join(name).display().to_string();
                parts.push(BackupFile {
                    name: within,
                    path: at.join(name).display().to_string(),
                    bytes: entry.stat.len,
                });
            }
        }
    }
    let (lsn, mut needed): (u64, BTreeSet<_>) = {
        let ledger = state.ledger();
        (ledger.lsn, ledger.extents.segments_from(ledger.settled_below()))
    };
    needed.extend(state.view.pinned_segments()?);
    let failed = |source| BackupError::Io { place: spool.display().to_string(), source };
    let found = inventory(files, spool, &needed).map_err(failed)?;
    for within in found.files {
        let path = spool.join(&within);
        // Segments move while the engine runs: who copies finds out.
        let Ok(stat) = files.stat(&path) else { continue };
        let name = Path::new("spool").join(&within).display().to_string();
        parts.push(BackupFile { name, path: path.display().to_string(), bytes: stat.len });
    }
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(BackupPlan { at: now, record: lsn, waiting_files: found.waiting, files: parts })
}
