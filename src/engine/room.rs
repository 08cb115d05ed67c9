//! Room on disk: what is held for our own records, and whether there is enough again to go on after the disk was full.
//!
//! ```text
//!   <state>/journal/...journal     blocks behind its end: the records to come
//!   <state>/view/db                the same for the view
//!   <state>/.room-0 ... .room-7    empty files with blocks: what the journal gets, piece by piece, when its own are used up
//! ```
//!
//! Whoever ignores the sign to wait takes every byte that becomes free. What was taken in by then can still be recorded, and
//! then removed, out of what is held here.

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
/// As much again as behind the journal is set aside in so many pieces.
const PIECES: u32 = 8;
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
    /// from being recorded. What is delivered can then be removed, which makes room for the rest. `false`: less than half of
    /// what the journal should have is held.
    pub fn hold(&self) -> bool {
        let Ok(space) = self.files.space(&self.state) else { return true };
        let reserve = reserve_of(self.reserve, space);
        if reserve == 0 {
            return true;
        }
        self.hold_behind(&self.state.join("view/db"), (reserve / VIEW_SHARE).max(VIEW_BYTES_MIN));
        // A file that is finished gives back what was held for it: the journal sees to that.
        let (journal, piece) = (reserve.min(JOURNAL_BYTES_MAX), reserve.min(JOURNAL_BYTES_MAX) / u64::from(PIECES));
        let Some(newest) = self.newest() else { return true };
        if self.hold_behind(&newest, journal) {
            self.set_aside(piece);
            return true;
        }
        let is_half = self.hold_behind(&newest, journal / 2);
        // Only then: what is still held is part of what the piece would give.
        if !is_half && !self.hold_behind(&newest, piece / 2) {
            self.use_a_piece();
        }
        is_half
    }

    fn newest(&self) -> Option<PathBuf> {
        JournalFile::newest(&*self.files, &self.state.join("journal"))
    }

    fn hold_behind(&self, path: &Path, len: u64) -> bool {
        let held = self.files.hold_room(path, len);
        if let Err(error) = &held {
            tracing::debug!(path = %path.display(), %error, "no room could be held");
        }
        // Where nothing can be held, nothing is to be waited for.
        held.map_or_else(|error| error.kind() == ErrorKind::Unsupported, |()| true)
    }

    fn pieces(&self) -> impl Iterator<Item = PathBuf> {
        (0..PIECES).map(|number| self.state.join(format!(".room-{number}")))
    }

    /// Makes the pieces that are missing.
    fn set_aside(&self, len: u64) {
        for piece in self.pieces() {
            if self.files.stat(&piece).is_ok() {
                continue;
            }
            if self.files.create(&piece).is_err() || !self.hold_behind(&piece, len) {
                // An empty one would pass for one that holds something; at worst it is given up for nothing.
                let _ = self.files.unlink(&piece);
                return;
            }
        }
    }

    /// Gives the journal one of the pieces that were set aside. Others may be quicker to take what becomes free thereby:
    /// then the next is tried. `false`: none is left, or there is no journal.
    pub fn use_a_piece(&self) -> bool {
        let (Ok(space), Some(newest)) = (self.files.space(&self.state), self.newest()) else { return false };
        let len = reserve_of(self.reserve, space).min(JOURNAL_BYTES_MAX) / u64::from(PIECES);
        let mut pieces = self.pieces();
        pieces.any(|piece| self.files.unlink(&piece).is_ok() && self.hold_behind(&newest, len))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn pieces_that_were_set_aside_go_to_the_journal_and_are_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().to_owned();
        for name in ["journal", "view"] {
            std::fs::create_dir(state.join(name)).unwrap();
        }
        let journal = state.join("journal/00000000000000000001.journal");
        std::fs::write(&journal, "records").unwrap();
        std::fs::write(state.join("view/db"), "").unwrap();
        let reserve = Some(1 << 20);
        let room = Room { files: Arc::new(OsFiles), state: state.clone(), spool: state.clone(), reserve };
        let held = |path: &Path| std::fs::metadata(path).unwrap().blocks() * 512;
        let pieces = || room.pieces().filter(|piece| piece.exists()).count();
        room.hold();
        if held(&journal) < 1 << 20 {
            return; // A file system that holds nothing ahead.
        }
        assert_eq!(pieces(), 8);
        assert!(room.pieces().all(|piece| held(&piece) == 128 << 10));
        // What was held behind it is used up.
        std::fs::write(&journal, vec![7; (1 << 20) + 7]).unwrap();
        let before = held(&journal);
        for left in (0..8).rev() {
            assert!(room.use_a_piece());
            assert_eq!(pieces(), left);
        }
        assert!(held(&journal) >= before + (128 << 10), "{before}");
        assert!(!room.use_a_piece());
        room.hold();
        assert_eq!(pieces(), 8);
    }
}
