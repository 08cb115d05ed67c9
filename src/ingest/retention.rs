//! The end of archived segments: by age and by size, oldest first, and before their time when the disk is short. Lines
//! somebody still needs are kept apart first, so one stuck delivery never holds a whole file.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{SegmentId, Timestamp};

use super::error::IngestError;
use super::layout::ignore_missing;
use super::names::parse_segment_name;
use super::remnant;
use super::shelf::Archived;
use super::status::ProblemKind;
use super::tailer::Ingest;

/// Segments removed per call, so that a call stays short.
const MAX_REMOVALS: usize = 64;

impl Ingest {
    /// Keeps delivered segments this long, and this many bytes of them, from now on.
    pub fn set_retention(&mut self, age: Duration, size: u64) {
        self.settings.retention_age = age;
        self.settings.retention_size = size;
    }

    /// How long delivered segments are kept.
    pub fn retention_age(&self) -> Duration {
        self.settings.retention_age
    }

    /// Gives up what retention no longer keeps; the ids of the segments that the journal must call gone. Their files are
    /// removed by the next call: should the engine end before the journal says so, they are still there.
    ///
    /// Call it only when the journal has durably what was returned before. `needed` answers at which offsets of a segment
    /// there are events whose deliveries are not finished; it is asked before a segment goes, and again until a remnant can
    /// go. `None`: it cannot tell now, so nothing of it goes.
    pub fn retain(
        &mut self,
        now: Timestamp,
        needed: &dyn Fn(SegmentId) -> Option<Vec<u64>>,
    ) -> Result<Vec<SegmentId>, IngestError> {
        if self.has_failed {
            return Err(IngestError::Stopped);
        }
        let result = self.remove_old(now, needed);
        self.has_failed |= result.is_err();
        result
    }

    fn remove_old(
        &mut self,
        now: Timestamp,
        needed: &dyn Fn(SegmentId) -> Option<Vec<u64>>,
    ) -> Result<Vec<SegmentId>, IngestError> {
        let mut given_up = Vec::new();
        let mut dirs = BTreeSet::new();
        if !self.shelf.given_up.is_empty() {
            self.unlink_given_up(now, &mut dirs);
            self.quarantine.hold_room(self.settings.reserve != Some(0));
        }
        let mut given_up_bytes = 0;
        let suspects: Vec<_> = self.shelf.suspects.iter().map(|(id, since)| (*since, *id)).collect();
        for key in suspects {
            self.take_back_if_grown(key, now, &mut dirs);
        }
        let oldest_first: Vec<_> = self.shelf.archived.keys().take(MAX_REMOVALS).copied().collect();
        for key in oldest_first {
            let Some(oldest) = self.shelf.archived.get(&key) else {
                continue;
            };
            let is_over_age = now.since(oldest.since) >= self.settings.retention_age;
            let is_over_size = self.shelf.archived_bytes > self.settings.retention_size;
            if !is_over_age && !is_over_size && !self.budget.wants_removals(self.files.as_ref(), given_up_bytes) {
                break;
            }
            if self.take_back_if_grown(key, now, &mut dirs) {
                continue;
            }
            let Some(lines) = needed(key.1) else {
                break;
            };
            let Some(archived) = self.shelf.take_archived(key) else {
                break;
            };
            match self.keep_lines(key.1, &archived, &lines)? {
                Ok(()) => {
                    self.index.remove(key.1);
                    given_up_bytes += archived.len;
                    self.shelf.given_up.push(archived);
                    given_up.push(key.1);
                }
                Err(error) => {
                    let detail = format!("its last lines cannot be kept apart: {error}; it is tried again");
                    self.problems.set(ProblemKind::Unreadable, &archived.path, detail, now);
                    self.shelf.archive(key.1, archived);
                    // Its remnant may find room once another, which needs none, is gone.
                }
            }
        }
        self.drop_remnants(needed, &mut dirs);
        self.sync(&dirs)?;
        Ok(given_up)
    }

    fn keep_lines(
        &mut self,
        id: SegmentId,
        archived: &Archived,
        needed: &[u64],
    ) -> Result<io::Result<()>, IngestError> {
        if !needed.is_empty() {
            match remnant::write(self.files.as_ref(), &self.layout, id, &archived.path, needed) {
                Ok(()) => {}
                Err(remnant::WriteError::Passing(error)) => return Ok(Err(error)),
                Err(remnant::WriteError::Fatal(error)) => return Err(error),
            }
            self.shelf.remnants.insert(id);
        }
        Ok(Ok(()))
    }

    fn unlink_given_up(&mut self, now: Timestamp, dirs: &mut BTreeSet<PathBuf>) {
        for archived in std::mem::take(&mut self.shelf.given_up) {
            match ignore_missing(self.files.unlink(&archived.path)) {
                Ok(()) => {
                    // Somebody may have looked for it since it was given up.
                    if let Some((id, _)) = archived.path.file_name().and_then(parse_segment_name) {
                        self.index.remove(id);
                    }
                    self.problems.clear(ProblemKind::Unreadable, &archived.path);
                    dirs.extend(archived.path.parent().map(PathBuf::from));
                }
                Err(error) => {
                    let detail = format!("cannot be removed from the archive: {error}; it is tried again");
                    self.problems.set(ProblemKind::Unreadable, &archived.path, detail, now);
                    self.shelf.given_up.push(archived);
                }
            }
        }
    }

    /// Moves an archived segment that grew back into `claimed/`; only one whose end was not proven can.
    fn take_back_if_grown(
        &mut self,
        key: (Timestamp, SegmentId),
        now: Timestamp,
        dirs: &mut BTreeSet<PathBuf>,
    ) -> bool {
        let Some(archived) = self.shelf.archived.get(&key) else {
            return false;
        };
        let has_grown = self.files.stat(&archived.path).is_ok_and(|stat| stat.len > archived.consumed);
        let (from, consumed) = (archived.path.clone(), archived.consumed);
        let to = self.layout.claimed.join(from.file_name().unwrap_or_default());
        if !has_grown || self.files.rename_new(&from, &to).is_err() {
            return false;
        }
        dirs.extend(from.parent().map(PathBuf::from));
        dirs.insert(self.layout.claimed.clone());
        self.shelf.take_archived(key);
        self.index.set(key.1, to.clone());
        self.read_on(key.1, to, consumed, now);
        true
    }

    fn drop_remnants(&mut self, needed: &dyn Fn(SegmentId) -> Option<Vec<u64>>, dirs: &mut BTreeSet<PathBuf>) {
        let idle: Vec<_> = self
            .shelf
            .remnants
            .iter()
            .copied()
            .filter(|id| needed(*id).is_some_and(|offsets| offsets.is_empty()))
            .collect();
        for id in idle.into_iter().take(MAX_REMOVALS) {
            if ignore_missing(self.files.unlink(&remnant::path(&self.layout, id))).is_ok() {
                self.shelf.remnants.remove(&id);
                dirs.insert(self.layout.remnants.clone());
            }
        }
    }
}
