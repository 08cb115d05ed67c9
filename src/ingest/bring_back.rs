//! When the state has lost records: what lies in the archive without having been taken in, as far as is still known, goes
//! back into `claimed/` and is read again. Losing state costs repeats, never events.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::error::IngestError;
use super::layout::ignore_missing;
use super::names::{Origin, parse_segment_name, segment_name};
use super::remnant;
use super::tailer::Ingest;
use super::tick::{Batch, Lost, Resume};
use crate::model::{SegmentId, Timestamp};

/// A run of blanks in a segment made from single lines; below any `max_line`.
const BLANK_BYTES: u64 = 2048;
/// Blanks written at a time.
const BLANKS_MAX: u64 = 512 * BLANK_BYTES;

impl Ingest {
    /// Brings back segments, and the single lines that are left of segments.
    pub(super) fn bring_back(&mut self, resume: &Resume, lost: &Lost) -> Result<(), IngestError> {
        let (archive, remnants) = (self.layout.archive.clone(), self.layout.remnants.clone());
        let mut dirs = self.bring_back_segments(resume).map_err(IngestError::layout(archive))?;
        let whole = self.segments_with_files().map_err(IngestError::layout(&self.layout.archive))?;
        self.bring_back_lines(resume, lost, &whole).map_err(IngestError::layout(remnants))?;
        dirs.insert(self.layout.claimed.clone());
        self.sync(&dirs)
    }

    /// Copies what the logs hold at this moment and ends these copies: every event that may have been sent before is then in
    /// a segment that exists. The batches carry cursors only.
    pub fn copy_past_logs(&mut self, now: Timestamp) -> Result<Vec<Batch>, IngestError> {
        let mut batches = Vec::new();
        loop {
            let mut tick = self.new_tick(now);
            self.copy_logs(&mut tick)?;
            batches.append(&mut tick.batches);
            if !tick.is_more {
                break;
            }
        }
        for log in &mut self.logs {
            let closed = log.close_targets();
            if let Some(stream) = self.streams.get_mut(&log.stream()) {
                let ended = stream.segments.iter_mut().filter(|segment| closed.contains(&segment.id));
                ended.for_each(|segment| segment.copying = Some(false));
            }
        }
        Ok(batches)
    }

    fn bring_back_segments(&self, resume: &Resume) -> io::Result<BTreeSet<PathBuf>> {
        let mut dirs = BTreeSet::new();
        for dir in self.layout.archive_days(self.files.as_ref())? {
            for entry in self.files.list(&dir)? {
                let Some((id, _)) = parse_segment_name(&entry.name) else { continue };
                if resume.consumed.get(&id).copied().unwrap_or(0) < entry.stat.len {
                    self.files.rename_new(&dir.join(&entry.name), &self.layout.claimed.join(&entry.name))?;
                    dirs.insert(dir.clone());
                }
            }
        }
        Ok(dirs)
    }

    /// The segments that are there with all their lines.
    fn segments_with_files(&self) -> io::Result<BTreeSet<SegmentId>> {
        let mut found = BTreeSet::new();
        for dir in self.layout.archive_days(self.files.as_ref())? {
            let entries = self.files.list(&dir)?.into_iter();
            found.extend(entries.filter_map(|entry| parse_segment_name(&entry.name)).map(|(id, _)| id));
        }
        let claimed = self.files.list(&self.layout.claimed)?.into_iter();
        let claimed = claimed.filter_map(|entry| parse_segment_name(&entry.name));
        // One that was made from lines before this start was interrupted is made again.
        found.extend(claimed.filter(|(_, origin)| *origin != lines_origin()).map(|(id, _)| id));
        Ok(found)
    }

    /// A segment of which only lines are left is made again with these lines at their old places, so that their events keep
    /// their ids, and blanks between them. The lines of rows that are still there need nothing.
    fn bring_back_lines(&mut self, resume: &Resume, lost: &Lost, whole: &BTreeSet<SegmentId>) -> io::Result<()> {
        for entry in self.files.list(&self.layout.remnants)? {
            let Some(id) = entry.name.to_str().and_then(|name| name.parse::<SegmentId>().ok()) else { continue };
            let is_pinned_only = lost.pinned.contains(&id) && !resume.consumed.contains_key(&id);
            if is_pinned_only || whole.contains(&id) {
                continue;
            }
            let name = segment_name(id, &lines_origin());
            let (draft, target) = (self.layout.tmp.join(&name), self.layout.claimed.join(name));
            let lines = remnant::lines(&self.files.read(&self.layout.remnants.join(&entry.name))?)?;
            ignore_missing(self.files.unlink(&draft))?;
            let mut file = self.files.create(&draft)?;
            let mut at = 0;
            for (offset, line) in lines {
                while at < offset {
                    let count = (offset - at).min(BLANKS_MAX);
                    file.append(&blanks(count))?;
                    at += count;
                }
                file.append(&[&line, "\n".as_bytes()].concat())?;
                at = offset + line.len() as u64 + 1;
            }
            file.sync_data()?;
            self.files.rename(&draft, &target)?;
            self.brought_back.insert(id);
        }
        Ok(())
    }
}

/// What the name of a segment made from single lines says of them.
fn lines_origin() -> Origin {
    Origin::Spool { stem: "remnant".into() }
}

/// So many bytes without an event in them.
fn blanks(count: u64) -> Vec<u8> {
    (1..=count).map(|at| if at == count || at % BLANK_BYTES == 0 { b'\n' } else { b' ' }).collect()
}
