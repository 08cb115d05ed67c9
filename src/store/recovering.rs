//! `<state>/recovering`: while it is there, the engine owes an answer to what was lost. It is written before anything damaged
//! is touched and removed when the answer is in the journal, so that a crash in between changes nothing.
//!
//! It holds sentences for people. The first line `restored` says that somebody put the state back who knew: nothing is
//! damaged.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::{Files, replace};

const RESTORED: &str = "restored\n";

fn path(dir: &Path) -> PathBuf {
    dir.join("recovering")
}

/// What an answer is owed to.
pub(super) struct Owed {
    pub is_restore: bool,
    pub text: String,
}

/// What an earlier opening had found when it was interrupted, or a restore has left.
pub(super) fn read(files: &dyn Files, dir: &Path) -> io::Result<Option<Owed>> {
    match files.read(&path(dir)) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let restored = text.strip_prefix(RESTORED);
            Ok(Some(Owed { is_restore: restored.is_some(), text: restored.unwrap_or(&text).to_owned() }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says durably that an answer is owed.
pub(super) fn write(files: &dyn Files, dir: &Path, text: &str) -> io::Result<()> {
    match files.create(&path(dir)) {
        // One who was killed may not have come to the sync.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => files.open(&path(dir))?.sync_data()?,
        Err(error) => return Err(error),
        Ok(mut file) => {
            file.append(text.as_bytes())?;
            file.sync_data()?;
        }
    }
    files.sync_dir(dir)
}

/// The same, whatever was said before.
pub fn rewrite(files: &dyn Files, dir: &Path, text: &str) -> io::Result<()> {
    replace(files, &path(dir), text.as_bytes())
}

/// Says durably that an older state lies whole in `dir`, whatever was owed for the one before.
pub fn write_restored(files: &dyn Files, dir: &Path, text: &str) -> io::Result<()> {
    replace(files, &path(dir), format!("{RESTORED}{text}").as_bytes())
}

/// The answer is given.
pub(super) fn clear(files: &dyn Files, dir: &Path) -> io::Result<()> {
    match files.unlink(&path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| files.sync_dir(dir)),
    }
}
