//! Segments whose events are all settled leave `claimed/` for the archive, unless they grew after all.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{SegmentId, Seq, Timestamp};

use super::error::IngestError;
use super::names::parse_segment_name;
use super::segment::Segment;
use super::shelf::{Archived, Sealed};
use super::status::ProblemKind;
use super::tailer::Ingest;

/// Moves per call, so that a call stays short.
const MAX_MOVES: usize = 1024;

impl Ingest {
    /// Archives the sealed segments whose last event has a number below `settled_below`; the ids of those moved.
    ///
    /// Call it only when every batch handed out so far is durable in the journal.
    pub fn retire(&mut self, settled_below: Seq, now: Timestamp) -> Result<Vec<SegmentId>, IngestError> {
        if self.has_failed {
            return Err(IngestError::Stopped);
        }
        let settled = |(id, sealed): (&SegmentId, &Sealed)| (sealed.settled_at <= settled_below).then_some(*id);
        let ids: Vec<_> = self.shelf.sealed.iter().filter_map(settled).take(MAX_MOVES).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        let result = self.archive(&ids, now);
        self.has_failed |= result.is_err();
        result
    }

    fn archive(&mut self, ids: &[SegmentId], now: Timestamp) -> Result<Vec<SegmentId>, IngestError> {
        let day = self.layout.archive_day(now);
        if let Err(error) = self.files.create_dirs(&day, 0o700) {
            self.problems.set(ProblemKind::Unreadable, &day, format!("cannot be made: {error}"), now);
            return Ok(Vec::new());
        }
        let mut moved = Vec::new();
        for &id in ids {
            let sealed = self.shelf.sealed.remove(&id).expect("the ids come from the shelf");
            match self.archive_one(id, &sealed, &day, now) {
                Ok(true) => moved.push(id),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let detail = "gone from the spool though its events were not all retired; somebody removed it";
                    self.problems.set(ProblemKind::Truncated, &sealed.path, detail, now);
                    self.index.remove(id);
                }
                Err(error) => {
                    let detail = format!("cannot be moved to the archive: {error}; it is tried again");
                    self.problems.set(ProblemKind::Unreadable, &sealed.path, detail, now);
                    self.shelf.sealed.insert(id, sealed);
                }
            }
        }
        self.sync(&BTreeSet::from([self.layout.archive.clone(), day, self.layout.claimed.clone()]))?;
        Ok(moved)
    }

    /// False when the segment has grown and is read again.
    fn archive_one(&mut self, id: SegmentId, sealed: &Sealed, day: &Path, now: Timestamp) -> io::Result<bool> {
        let len = self.files.stat(&sealed.path)?.len;
        if len > sealed.consumed {
            self.read_on(id, sealed.path.clone(), sealed.consumed, now);
            return Ok(false);
        }
        let path = day.join(sealed.path.file_name().unwrap_or_default());
        self.files.rename_new(&sealed.path, &path)?;
        self.problems.clear(ProblemKind::Unreadable, &sealed.path);
        self.index.set(id, path.clone());
        self.shelf.archive(id, Archived { path, consumed: sealed.consumed, len, since: now });
        if !sealed.proven {
            self.shelf.suspects.insert(id, now);
        }
        Ok(true)
    }

    /// Takes a segment in `claimed/` up again at `consumed`, because it grew after it was taken for finished.
    pub(super) fn read_on(&mut self, id: SegmentId, path: PathBuf, consumed: u64, now: Timestamp) {
        let detail = "grew after it was taken for finished: its new lines are read now; let the producer close its files, or run the engine as their owner";
        self.problems.set(ProblemKind::LateWrite, &path, detail, now);
        let Some((_, origin)) = path.file_name().and_then(parse_segment_name) else {
            return;
        };
        let segment = Segment::new(id, path, consumed, self.next_seq, self.engine_time());
        self.push_segment(&origin.stream(), segment);
    }

    pub(super) fn sync(&self, dirs: &BTreeSet<PathBuf>) -> Result<(), IngestError> {
        dirs.iter().try_for_each(|dir| self.files.sync_dir(dir).map_err(IngestError::durability(dir)))
    }
}
