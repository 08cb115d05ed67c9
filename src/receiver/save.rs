//! The directory of saved requests. A file appears under its name only when it is complete.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::Received;
use crate::env::Files;

pub(super) struct Album {
    dir: PathBuf,
    files: Arc<dyn Files>,
}

impl Album {
    /// Opens or creates the directory; also the highest number in it, 0 when empty.
    pub(super) fn open(dir: &Path, files: Arc<dyn Files>) -> io::Result<(Self, u64)> {
        files.create_dirs(dir, 0o700)?;
        let highest = files.list(dir)?.iter().filter_map(|entry| number(entry.name.to_str()?)).max().unwrap_or(0);
        Ok((Self { dir: dir.to_owned(), files }, highest))
    }

    /// Writes `NNNNNN-<ms>.json`.
    pub(super) fn save(&self, request: &Received) -> io::Result<()> {
        let name = format!("{:06}-{}.json", request.number, request.received.0);
        let draft = self.dir.join(format!("{name}.tmp"));
        self.files.create(&draft)?.append(&request.to_json())?;
        self.files.rename(&draft, &self.dir.join(name))
    }
}

fn number(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}
