//! Damaged files are never deleted: they get another name beside their old one, for people to look at and to remove.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::Files;
use crate::model::Timestamp;

const TRIES: u32 = 100;

fn free_name(path: &Path, now: Timestamp, mut take: impl FnMut(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    for attempt in 0..TRIES {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".damaged-{}-{attempt}", now.as_secs()));
        let aside = path.with_file_name(name);
        match take(&aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("a hundred damaged copies lie beside it already; remove some"))
}

/// Gives the file or directory at `path` another name and returns it.
pub(super) fn rename(files: &dyn Files, path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    free_name(path, now, |aside| files.rename_new(path, aside))
}

/// Copies the file at `path`, durably, and returns the copy's name.
pub(super) fn copy(files: &dyn Files, path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let bytes = files.read(path)?;
    free_name(path, now, |aside| {
        let mut file = files.create(aside)?;
        file.append(&bytes)?;
        file.sync_data()
    })
}
