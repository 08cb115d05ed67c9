//! The room that is kept free on disk. Below it producers are asked to wait and nothing more is taken than what can be
//! delivered and removed again: what was taken goes on, and what is delivered is removed before its time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::env::{Files, Space};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// With less than so many times what is kept free, it may be used up before the next look.
const TIGHT: u64 = 4;
/// Kept free where nobody says how much: a twentieth of the file system, between these.
const SHARE: u64 = 20;
const LEAST: u64 = 4 << 20;
const MOST: u64 = 64 << 20;
/// With fewer files to be made than this, a file system counts as full.
const FILES_MIN: u64 = 64;

/// The bytes to keep free on a file system: as configured, or a share of it.
pub fn reserve_of(configured: Option<u64>, space: Space) -> u64 {
    configured.unwrap_or_else(|| (space.total_bytes / SHARE).clamp(LEAST, MOST))
}

/// How full the disks are.
pub(super) struct Budget {
    reserve: Option<u64>,
    spool: PathBuf,
    others: Vec<PathBuf>,
    looked: Option<Duration>,
    spool_low: Option<String>,
    others_low: Option<String>,
    is_tight: bool,
}

impl Budget {
    /// `others` are directories beside the spool that the engine writes to.
    pub(super) fn new(reserve: Option<u64>, spool: PathBuf, others: Vec<PathBuf>) -> Self {
        Self { reserve, spool, others, looked: None, spool_low: None, others_low: None, is_tight: false }
    }

    /// Looks at the disks, unless it did so a moment ago.
    pub(super) fn look(&mut self, files: &dyn Files, at: Duration) {
        if self.looked.is_some_and(|looked| at < looked + LOOK) {
            return;
        }
        self.looked = Some(at);
        // One for all, since they may share a file system: what is low for one of them alone would never end.
        let was_low = self.is_low();
        self.look_at_spool(files, was_low);
        let others = std::mem::take(&mut self.others);
        self.others_low = others.iter().find_map(|dir| self.shortage(files, dir, was_low, 0));
        self.is_tight = self.is_low() || others.iter().chain([&self.spool]).any(|dir| self.tight(files, dir));
        self.others = others;
    }

    fn look_at_spool(&mut self, files: &dyn Files, was_low: bool) {
        let spool = self.spool.clone();
        self.spool_low = self.shortage(files, &spool, was_low, 0);
    }

    /// What is short on the file system of `dir`. It ends a quarter above where it begins.
    fn shortage(&self, files: &dyn Files, dir: &Path, was_low: bool, soon_free: u64) -> Option<String> {
        let mut space = files.space(dir).ok()?;
        space.free_bytes = space.free_bytes.saturating_add(soon_free);
        let reserve = reserve_of(self.reserve, space);
        if reserve == 0 {
            return None;
        }
        let margin = if was_low { 5 } else { 4 };
        let (enough, enough_files) = (reserve / 4 * margin, FILES_MIN / 4 * margin);
        if space.free_files < enough_files {
            let (free, dir) = (space.free_files, dir.display());
            return Some(format!("only {free} inodes are left on the file system of {dir}: remove files there"));
        }
        if space.free_bytes < enough {
            let (free, dir) = (space.free_bytes >> 10, dir.display());
            let reserve = reserve >> 10;
            return Some(format!("{free} KiB are free on the file system of {dir}, {reserve} KiB are kept free"));
        }
        None
    }

    fn tight(&self, files: &dyn Files, dir: &Path) -> bool {
        let wanted = |space| reserve_of(self.reserve, space).saturating_mul(TIGHT);
        files.space(dir).is_ok_and(|space| space.free_bytes < wanted(space))
    }

    /// Whether it is short, or may be soon: then what is read has to be delivered before more is.
    pub(super) fn is_tight(&self) -> bool {
        self.is_tight
    }

    /// Why no more is taken than can be delivered, if so.
    pub(super) fn shortage_text(&self) -> Option<&str> {
        self.spool_low.as_deref().or(self.others_low.as_deref())
    }

    pub(super) fn is_low(&self) -> bool {
        self.spool_low.is_some() || self.others_low.is_some()
    }

    /// Whether removing something from the spool would help, by a look just now, when so many bytes will be free soon.
    pub(super) fn wants_removals(&mut self, files: &dyn Files, soon_free: u64) -> bool {
        if !self.is_low() {
            return false;
        }
        self.look_at_spool(files, true);
        self.shortage(files, &self.spool, true, soon_free).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn the_reserve_is_a_share_between_bounds() {
        let disk = |total_bytes| Space { free_bytes: 0, total_bytes, free_files: u64::MAX };
        let of = |mib: u64| reserve_of(None, disk(mib << 20)) >> 20;
        assert_eq!([40, 400, 4000].map(of), [4, 20, 64]);
        assert_eq!(reserve_of(Some(7), disk(1 << 40)), 7);
    }

    #[test]
    fn directories_of_one_file_system_are_short_and_well_together() {
        let dir = tempfile::tempdir().unwrap();
        let free = OsFiles.space(dir.path()).unwrap().free_bytes;
        let mut budget = Budget::new(Some(free * 2), dir.path().into(), vec![dir.path().into()]);
        budget.look(&OsFiles, Duration::ZERO);
        assert!(budget.is_low() && budget.wants_removals(&OsFiles, 0));
        // Room for a moment, seen by a look at the spool only...
        budget.reserve = Some(free / 2);
        assert!(!budget.wants_removals(&OsFiles, 0));
        // ...then a little less than is enough.
        budget.reserve = Some(free / 10 * 9);
        for round in 1..3 {
            budget.look(&OsFiles, LOOK * round);
            assert!(budget.is_low() && budget.wants_removals(&OsFiles, 0), "who waits for room has some made");
        }
        budget.reserve = Some(free / 2);
        budget.look(&OsFiles, LOOK * 3);
        assert!(!budget.is_low());
    }
}
