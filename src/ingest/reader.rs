//! Reading events again: for lanes that are behind, for replays and for people, from any thread, beside the one that takes
//! events in.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::env::{Files, ReadFile};
use crate::model::{Event, Extent, Position, Rejection, SegmentId, Seq, Timestamp};

use super::framing::Content;
use super::index::SegmentIndex;
use super::layout::Layout;
use super::lookup::line_at;
use super::names::{Origin, parse_segment_name};
use super::quarantine;
use super::record::parse_line;
use super::remnant::Places;
use super::reread::{read_run, runs};

/// Why events could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("segment {segment} is in the spool no more: retention or somebody's hand removed it")]
    Gone { segment: SegmentId },
    #[error(
        "segment {segment} holds other lines between {start} and {end} than were taken in: {found} events instead of {expected}; somebody changed it"
    )]
    Changed { segment: SegmentId, start: u64, end: u64, expected: u32, found: u32 },
    #[error("line {segment}-{offset} is no event any more ({detail}); somebody changed the segment", offset = position.offset, segment = position.segment, detail = rejection.detail)]
    NotAnEvent { position: Position, rejection: Rejection },
    #[error("cannot read segment {segment}: {source}")]
    Io { segment: SegmentId, source: io::Error },
}

/// Looks up events in `claimed/`, `archive/` and the remnants of a spool.
pub struct LogReader {
    files: Arc<dyn Files>,
    layout: Layout,
    index: SegmentIndex,
    /// The remnant that was looked at last.
    remnant: Mutex<Option<Places>>,
}

impl LogReader {
    /// A reader of the spool at `spool`, whether or not an engine runs.
    pub fn new(files: Arc<dyn Files>, spool: &Path) -> Self {
        Self::sharing(files, Layout::of(spool), SegmentIndex::default())
    }

    pub(super) fn sharing(files: Arc<dyn Files>, layout: Layout, index: SegmentIndex) -> Self {
        Self { files, layout, index, remnant: Mutex::default() }
    }

    /// Whether the file that was put into `in/` as `<stem>.ndjson` is in the spool, claimed or not.
    pub fn has_file(&self, stem: &str) -> io::Result<bool> {
        let waiting = self.layout.inbox.join(format!("{stem}.ndjson"));
        match self.files.stat(&waiting) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let has = |dir: &Path| -> io::Result<bool> {
            let mut segments = self.files.list(dir)?.into_iter().filter_map(|entry| parse_segment_name(&entry.name));
            Ok(segments.any(|(_, origin)| origin == Origin::Spool { stem: stem.to_owned() }))
        };
        // In the order in which a file moves: one that goes on meanwhile is met later, in a directory of a new day too.
        if has(&self.layout.claimed)? {
            return Ok(true);
        }
        for day in self.layout.archive_days(self.files.as_ref())? {
            if has(&day)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the segment's file is still there.
    pub fn is_kept(&self, segment: SegmentId) -> bool {
        !matches!(self.file(segment), Ok(None))
    }

    /// The events of `extent` from number `from_seq` on, numbered as the first time.
    pub fn read(&self, extent: &Extent, from_seq: Seq) -> Result<Vec<Event>, ReadError> {
        let mut events = self.read_all(std::slice::from_ref(extent))?;
        events.retain(|event| event.seq >= from_seq);
        Ok(events)
    }

    /// The events of all `extents`, by number.
    pub fn read_all(&self, extents: &[Extent]) -> Result<Vec<Event>, ReadError> {
        let mut events = Vec::new();
        for run in runs(extents) {
            let segment = run[0].segment;
            let file = self.file(segment)?.ok_or(ReadError::Gone { segment })?;
            read_run(file.as_ref(), &run, &mut events)?;
        }
        events.sort_by_key(|event| event.seq);
        Ok(events)
    }

    /// The event at `position`; `None` when neither its segment nor a remnant of it is left.
    pub fn event_at(&self, position: Position, seq: Seq, seen: Timestamp) -> Result<Option<Event>, ReadError> {
        let segment = position.segment;
        let failed = |source| ReadError::Io { segment, source };
        let parse = |text: &[u8]| {
            parse_line(text, position, seq, seen)
                .map(Some)
                .map_err(|rejection| ReadError::NotAnEvent { position, rejection })
        };
        if let Some(line) = self.known_line(segment, position.offset) {
            return parse(&line);
        }
        if let Some(file) = self.file(segment)? {
            let mut buffer = Vec::new();
            return match line_at(file.as_ref(), position.offset, &mut buffer).map_err(failed)? {
                Some(Content::Text(text)) => parse(text),
                _ => Err(ReadError::Changed {
                    segment,
                    start: position.offset,
                    end: position.offset,
                    expected: 1,
                    found: 0,
                }),
            };
        }
        let kept = self.kept_line(segment, position.offset).map_err(failed)?;
        kept.map_or(Ok(None), |line| parse(&line))
    }

    /// Says which of `lines`, rejected ones of `segment`, the quarantine does not hold as they were.
    pub fn check_quarantine(
        &self,
        segment: SegmentId,
        lines: impl Iterator<Item = Extent>,
        say: &mut dyn FnMut(String),
    ) {
        let file = self.file(segment).ok().flatten();
        quarantine::check(self.files.as_ref(), &self.layout.quarantine, segment, file.as_deref(), lines, say);
    }

    /// A line of the remnant that was looked at last. Rows of one segment are asked for together: while it serves, nobody
    /// needs to look for the segment's file again.
    fn known_line(&self, segment: SegmentId, offset: u64) -> Option<Vec<u8>> {
        let last = self.remnant.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|places| places.id == segment)?.line(self.files.as_ref(), offset).ok()?
    }

    /// A line of a segment whose file is gone.
    fn kept_line(&self, segment: SegmentId, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let places = Places::of(self.files.as_ref(), &self.layout, segment)?;
        let line = places.line(self.files.as_ref(), offset);
        *self.remnant.lock().unwrap_or_else(PoisonError::into_inner) = Some(places);
        line
    }

    fn file(&self, segment: SegmentId) -> Result<Option<Arc<dyn ReadFile>>, ReadError> {
        self.index.file(segment, || self.find(segment)).map_err(|source| ReadError::Io { segment, source })
    }

    fn find(&self, segment: SegmentId) -> io::Result<Option<Arc<dyn ReadFile>>> {
        // A segment may move between the look at its place and the opening; the second look is at the directories.
        for is_refreshed in [false, true] {
            if is_refreshed {
                self.index.refresh(self.files.as_ref(), &self.layout)?;
            }
            let Some(path) = self.index.get(segment) else {
                continue;
            };
            match self.files.open(&path) {
                Ok(file) => return Ok(Some(Arc::from(file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
