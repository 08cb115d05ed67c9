//! Room on disk: how much is kept free, the ballast that is thrown off when it is gone all the same, and whether there is
//! enough again to go on.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::doubt::Cause;
use crate::config::Config;
use crate::env::Files;
use crate::ingest::reserve_of;

/// Shares of the reserve: what the ballast weighs, and what must be free to start again after the disk was full.
const BALLAST_SHARE: u64 = 4;
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
        Self { files, state: config.state.dir.clone(), spool: config.spool.dir.clone(), reserve: config.state.reserve }
    }

    fn ballast(&self) -> PathBuf {
        self.state.join("ballast")
    }

    /// Takes ballast on again when there is plenty of room for it.
    pub fn take_ballast(&self) {
        let Ok(space) = self.files.space(&self.state) else { return };
        let reserve = reserve_of(self.reserve, space);
        let weight = reserve / BALLAST_SHARE;
        let is_aboard = self.files.stat(&self.ballast()).is_ok();
        if weight > 0 && !is_aboard && space.free_bytes >= reserve.saturating_add(2 * weight) {
            if let Err(error) = self.files.set_apart(&self.ballast(), weight) {
                tracing::debug!(%error, "no ballast could be set apart");
                let _ = self.files.unlink(&self.ballast());
            }
        }
    }

    /// Throws the ballast off, so that outcomes can be recorded on a disk that others have filled.
    pub fn drop_ballast(&self) {
        if self.files.unlink(&self.ballast()).is_ok() {
            tracing::warn!(path = %self.ballast().display(), "the disk is full: the ballast is given up");
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
