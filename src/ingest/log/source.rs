//! One `[[log]]`: which files of its directory are open, and a round of copying from them.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::env::Files;
use crate::ingest::error::IngestError;
use crate::ingest::layout::Layout;
use crate::ingest::names::{Origin, escape, segment_name};
use crate::ingest::seal::{SealRules, SealStep};
use crate::ingest::settings::LogSettings;
use crate::ingest::status::{ProblemKind, Problems};
use crate::model::{SegmentId, Timestamp};

use super::copy::{Attached, Growth, Standing, Target};
use super::cursor::LogCursor;

/// Files of one log that are open at a time.
pub(super) const MAX_OPEN: usize = 128;
/// A drained file gives its place to a waiting one after this long without growth.
const GIVE_WAY: Duration = Duration::from_secs(2);
/// Bounds of a segment that copies a log, so that retention has something to remove.
const MAX_SEGMENT: u64 = 64 << 20;
const MAX_SEGMENT_AGE: Duration = Duration::from_secs(3600);

/// What a round of copying needs and what it brings.
pub(in crate::ingest) struct CopyRun<'a> {
    pub(in crate::ingest) files: &'a dyn Files,
    pub(in crate::ingest) layout: &'a Layout,
    pub(in crate::ingest) problems: &'a mut Problems,
    pub(in crate::ingest) max_line: usize,
    pub(in crate::ingest) rules: SealRules,
    pub(in crate::ingest) scan_interval: Duration,
    pub(in crate::ingest) now: Timestamp,
    pub(in crate::ingest) at: Duration,
    pub(in crate::ingest) buffer: &'a mut Vec<u8>,
    pub(in crate::ingest) fresh_id: &'a mut dyn FnMut() -> SegmentId,
    /// Bytes that may still be copied.
    pub(in crate::ingest) left: u64,
    /// Segments made, and segments that will not grow any more.
    pub(in crate::ingest) made: Vec<(SegmentId, PathBuf)>,
    pub(in crate::ingest) closed: Vec<SegmentId>,
    pub(in crate::ingest) cursors: Vec<LogCursor>,
}

/// The cursor of a file that is not open.
pub(super) struct Parked {
    pub(super) cursor: LogCursor,
    /// The file's mtime (ns) when its bytes were last seen to fit the cursor.
    pub(super) checked_mtime: Option<i128>,
    pub(super) missing_since: Option<Duration>,
}

impl Parked {
    fn unchecked(cursor: LogCursor) -> Self {
        Self { cursor, checked_mtime: None, missing_since: None }
    }
}

pub(in crate::ingest) struct LogSource {
    pub(in crate::ingest) settings: LogSettings,
    escaped: String,
    pub(super) attached: Vec<Attached>,
    /// Cursors of files in the directory that are not open.
    pub(super) parked: HashMap<(u64, u64), Parked>,
    /// Cursors that the journal does not have yet: without them, a copy that leaves `claimed/` would be made again.
    recovered: Vec<LogCursor>,
    listed: Option<Duration>,
}

impl LogSource {
    pub(in crate::ingest) fn new(settings: LogSettings, cursors: Vec<LogCursor>) -> Self {
        let escaped = escape(settings.name.as_bytes());
        let parked = cursors.into_iter().map(|cursor| ((cursor.dev, cursor.ino), Parked::unchecked(cursor))).collect();
        Self { settings, escaped, attached: Vec::new(), parked, recovered: Vec::new(), listed: None }
    }

    pub(in crate::ingest) fn stream(&self) -> String {
        Origin::Log { log: self.escaped.clone(), ino: 0, base: 0 }.stream()
    }

    /// Open files and the bytes in them that are not copied.
    pub(in crate::ingest) fn behind(&self) -> (usize, u64) {
        (self.attached.len(), self.attached.iter().map(|file| file.len.saturating_sub(file.offset)).sum())
    }

    /// Whether every whole line seen is copied.
    pub(in crate::ingest) fn is_drained(&self) -> bool {
        self.listed.is_some() && self.attached.iter().all(Attached::is_drained)
    }

    /// Looks at the directory when it is time, then copies what has grown: renamed and deleted files first, since what
    /// they hold is older than what came under their names.
    pub(in crate::ingest) fn poll(&mut self, run: &mut CopyRun<'_>) -> Result<(), IngestError> {
        run.cursors.append(&mut self.recovered);
        if self.listed.is_none_or(|listed| run.at >= listed + run.scan_interval) {
            self.listed = Some(run.at);
            match self.scan(run) {
                Ok(()) => run.problems.clear(ProblemKind::Unreadable, &self.settings.dir),
                Err(error) => {
                    let detail = format!("cannot be listed: {error}; it is tried again");
                    run.problems.set(ProblemKind::Unreadable, &self.settings.dir, detail, run.now);
                }
            }
        }
        self.attached.sort_by_key(|file| file.standing == Standing::Live);
        let mut index = 0;
        while index < self.attached.len() && run.left > 0 {
            let is_live = self.attached[index].standing == Standing::Live;
            if is_live && self.attached[..index].iter().any(|old| old.keeps_younger_waiting(run.at)) {
                break;
            }
            if self.advance(index, run)? { index += 1 } else { self.detach(index, run) }
        }
        Ok(())
    }

    /// Copies what there is of one file; false when the file is done with.
    fn advance(&mut self, index: usize, run: &mut CopyRun<'_>) -> Result<bool, IngestError> {
        let path = self.settings.dir.join(&self.attached[index].name);
        if self.attached[index].pause.until > run.at {
            return Ok(true);
        }
        let copied = self.copy(index, run);
        let file = &mut self.attached[index];
        if std::mem::take(&mut file.is_changed) {
            if let Some(target) = &mut file.target {
                target.sync()?;
            }
            run.cursors.push(file.cursor(&self.settings.name, false));
        }
        match copied {
            Ok(()) => {
                file.pause.worked();
                run.problems.clear(ProblemKind::Unreadable, &path);
            }
            Err(error) => {
                file.pause.failed(run.at);
                run.problems.set(ProblemKind::Unreadable, &path, format!("{error}; it is tried again"), run.now);
                return Ok(true);
            }
        }
        let is_over_age = |target: &Target| target.len >= MAX_SEGMENT || run.at >= target.made + MAX_SEGMENT_AGE;
        if file.is_drained() && file.offset == file.len && file.target.as_ref().is_some_and(is_over_age) {
            close(file, run);
        }
        if !file.is_drained() {
            return Ok(true);
        }
        self.finish(index, run)
    }

    fn copy(&mut self, index: usize, run: &mut CopyRun<'_>) -> io::Result<()> {
        while run.left > 0 {
            let file = &mut self.attached[index];
            let path = self.settings.dir.join(&file.name);
            match file.grown(run.max_line, run.at, run.buffer)? {
                Growth::Nothing => break,
                Growth::Searching => run.left = run.left.saturating_sub(run.buffer.len() as u64),
                Growth::Shrunk => {
                    let detail = format!(
                        "shorter than the {} bytes already read (truncated, or copytruncate): read again from its start; lines written and cut off between two looks are lost, rotate by rename instead",
                        file.offset
                    );
                    run.problems.set(ProblemKind::Truncated, &path, detail, run.now);
                    close(file, run);
                    file.restart();
                }
                Growth::Rewritten => {
                    let detail =
                        "the bytes before the cursor have changed (rewritten in place): read again from its start";
                    run.problems.set(ProblemKind::Replaced, &path, detail, run.now);
                    close(file, run);
                    file.restart();
                }
                Growth::Until(end) => {
                    self.copy_to(index, end, run)?;
                }
            }
        }
        Ok(())
    }

    fn copy_to(&mut self, index: usize, end: u64, run: &mut CopyRun<'_>) -> io::Result<()> {
        let file = &mut self.attached[index];
        if file.target.is_none() {
            let id = (run.fresh_id)();
            let origin = Origin::Log { log: self.escaped.clone(), ino: file.ino, base: file.offset };
            let path = run.layout.claimed.join(segment_name(id, &origin));
            let target = run.files.create(&path)?;
            run.made.push((id, path.clone()));
            file.target = Some(Target { id, path, file: Some(target), len: 0, made: run.at });
        }
        let before = file.offset;
        let copied = file.copy(end, run.files, run.buffer);
        run.left = run.left.saturating_sub(file.offset - before);
        copied
    }

    /// Asks whether a drained file can still grow under our descriptor; false when it is done with.
    fn finish(&mut self, index: usize, run: &mut CopyRun<'_>) -> Result<bool, IngestError> {
        let file = &mut self.attached[index];
        if file.standing == Standing::Live {
            let is_crowded = self.attached.len() >= MAX_OPEN;
            let file = &self.attached[index];
            let patience = if is_crowded { GIVE_WAY } else { run.rules.idle };
            return Ok(file.offset < file.len || file.seal.idle(run.at) < patience);
        }
        if file.seal.next_ask() > run.at {
            return Ok(true);
        }
        if file.seal.answer(file.file.writers(), run.at, run.rules) == SealStep::Wait {
            return Ok(true);
        }
        let end = file.len;
        if file.offset < end {
            if self.copy_to(index, end, run).is_err() {
                return Ok(true);
            }
            let file = &mut self.attached[index];
            if let Some(target) = &mut file.target {
                target.sync()?;
            }
        }
        Ok(false)
    }

    fn detach(&mut self, index: usize, run: &mut CopyRun<'_>) {
        let mut file = self.attached.remove(index);
        close(&mut file, run);
        let cursor = file.cursor(&self.settings.name, file.standing == Standing::Gone);
        run.cursors.push(cursor.clone());
        if !cursor.finished {
            let checked_mtime = file.file.stat().ok().map(|stat| stat.mtime_ns);
            let parked = Parked { cursor, checked_mtime, missing_since: None };
            self.parked.insert((file.dev, file.ino), parked);
        }
    }

    /// Ends the segments that are being copied into: what comes next goes into new ones. Returns those that were ended.
    pub(in crate::ingest) fn close_targets(&mut self) -> Vec<SegmentId> {
        self.attached.iter_mut().filter_map(|file| file.target.take()).map(|target| target.id).collect()
    }

    /// Takes a cursor that was found again by other means than the journal, and hands it to the journal with the next round.
    pub(in crate::ingest) fn recover(&mut self, cursor: LogCursor) {
        self.recovered.push(cursor.clone());
        self.park(cursor);
    }

    pub(super) fn park(&mut self, cursor: LogCursor) {
        self.parked.insert((cursor.dev, cursor.ino), Parked::unchecked(cursor));
    }

    pub(in crate::ingest) fn parked(&self, ino: u64) -> Option<&LogCursor> {
        self.parked.values().map(|parked| &parked.cursor).find(|cursor| cursor.ino == ino)
    }

    pub(in crate::ingest) fn escaped(&self) -> &str {
        &self.escaped
    }
}

fn close(file: &mut Attached, run: &mut CopyRun<'_>) {
    if let Some(target) = file.target.take() {
        run.closed.push(target.id);
    }
}
