//! Room on disk: what is held for our own records, and whether there is enough again to go on after the disk was full.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::doubt::Cause;
use crate::config::Config;
use crate::env::Files;
use crate::ingest::reserve_of;
use crate::store::JournalFile;

/// Of the reserve no more is held behind the end of the newest journal file than such a file grows to.
const JOURNAL_BYTES_MAX: u64 = 16 << 20;
/// The share that is held behind the end of the view, no less than two of the pieces in which sled grows.
const VIEW_SHARE: u64 = 16;
const VIEW_BYTES_MIN: u64 = 1 << 20;
/// This share of the reserve must be free to start again after the disk was full.
const START_SHARE: u64 = 8;
/// What is written for a try.
const PROBE_BYTES: usize = 64 << 10;
/// Descriptors that must be there to start again: the journal, the view, a few segments and sockets.
const PROBE_FILES: usize = 64;

/// The disks below the state and the spool.
pub(super) struct Room {
    files: Arc<dyn Files>,
    state: PathBuf,
    spool: PathBuf,
    reserve: Option<u64>,
}

impl Room {
    pub fn new(files: Arc<dyn Files>, config: &Config) -> Self {
        let (state, spool) = (config.state.dir.clone(), config.spool.dir.clone());
        Self { files, state, spool, reserve: config.state.reserve }
    }

    /// Has the disk hold room for what journal and view append next, so that others who fill the disk cannot keep outcomes
    /// from being recorded. What is delivered can then be removed, which makes room for the rest.
    pub fn hold(&self) {
        let Ok(space) = self.files.space(&self.state) else { return };
        let reserve = reserve_of(self.reserve, space);
        let hold = |path: &Path, len: u64| {
            if let Err(error) = self.files.hold_room(path, len) {
                tracing::debug!(path = %path.display(), %error, "no room could be held");
            }
        };
        if reserve == 0 {
            return;
        }
        hold(&self.state.join("view/db"), (reserve / VIEW_SHARE).max(VIEW_BYTES_MIN));
        // A file that is finished gives back what was held for it: the journal sees to that.
        if let Some(newest) = JournalFile::newest(&*self.files, &self.state.join("journal")) {
            hold(&newest, reserve.min(JOURNAL_BYTES_MAX));
        }
    }

    /// Why it is too early to start again, if it is. Asked for a doubt whose cause passes.
    pub fn lacks(&self, cause: Cause) -> Option<String> {
        match cause {
            Cause::Descriptors => self.lacks_descriptors(),
            _ => [&self.state, &self.spool].into_iter().find_map(|dir| self.lacks_space(dir)),
        }
    }

    fn lacks_space(&self, dir: &Path) -> Option<String> {
        let space = self.files.space(dir).ok()?;
        let wanted = reserve_of(self.reserve, space) / START_SHARE;
        if space.free_files == 0 {
            return Some(format!("no inodes are left on the file system of {}: remove files there", dir.display()));
        }
        if space.free_bytes < wanted {
            let free = space.free_bytes >> 10;
            let wanted = wanted >> 10;
            return Some(format!("{free} KiB are free on the file system of {}, {wanted} are needed", dir.display()));
        }
        let error = self.try_writing(dir).err()?;
        Some(format!("a try to write in {} fails: {error}", dir.display()))
    }

    /// Promises of the kernel are not enough: a quota shows only when something is written.
    fn try_writing(&self, dir: &Path) -> io::Result<()> {
        let path = dir.join(".room");
        match self.files.unlink(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.files.create(&path)?;
        let tried = file.append(&[0; PROBE_BYTES]).and_then(|()| file.sync_data());
        self.files.unlink(&path)?;
        tried
    }

    fn lacks_descriptors(&self) -> Option<String> {
        let lock = self.state.join("lock");
        let opened: io::Result<Vec<_>> = (0..PROBE_FILES).map(|_| self.files.open(&lock)).collect();
        let error = opened.err()?;
        Some(format!("no {PROBE_FILES} file descriptors are free ({error}): raise the limit (LimitNOFILE, ulimit -n)"))
    }
}
