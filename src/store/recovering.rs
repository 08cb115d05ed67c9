//! `<state>/recovering`: while it is there, the engine owes an answer to what was lost. It is written before anything damaged
//! is touched and removed when the answer is in the journal, so that a crash in between changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::Files;

fn path(dir: &Path) -> PathBuf {
    dir.join("recovering")
}

/// What an earlier opening had found when it was interrupted.
pub(super) fn read(files: &dyn Files, dir: &Path) -> io::Result<Option<String>> {
    match files.read(&path(dir)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says durably that an answer is owed.
pub fn write(files: &dyn Files, dir: &Path, text: &str) -> io::Result<()> {
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

/// The answer is given.
pub(super) fn clear(files: &dyn Files, dir: &Path) -> io::Result<()> {
    match files.unlink(&path(dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.and_then(|()| files.sync_dir(dir)),
    }
}
