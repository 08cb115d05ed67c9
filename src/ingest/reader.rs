//! Reading events again: for lanes that are behind, for replays and for people. Has its own descriptors, so that any
//! thread may use it beside the one that takes events in.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::env::{Files, ReadFile};
use crate::model::{Event, Extent, Position, Rejection, SegmentId, Seq, Timestamp};

use super::framing::Content;
use super::index::SegmentIndex;
use super::layout::Layout;
use super::lookup::{line_at, lines_between};
use super::record::parse_line;
use super::remnant;

/// Segments kept open.
const MAX_OPEN: usize = 16;

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
    open: Mutex<VecDeque<(SegmentId, Arc<dyn ReadFile>)>>,
}

impl LogReader {
    /// A reader of the spool at `spool`, whether or not an engine runs.
    pub fn new(files: Arc<dyn Files>, spool: &Path) -> Self {
        Self::sharing(files, Layout::of(spool), SegmentIndex::default())
    }

    pub(super) fn sharing(files: Arc<dyn Files>, layout: Layout, index: SegmentIndex) -> Self {
        Self { files, layout, index, open: Mutex::default() }
    }

    /// Whether the segment's file is still there.
    pub fn is_kept(&self, segment: SegmentId) -> bool {
        !matches!(self.file(segment), Ok(None))
    }

    /// The events of `extent` from number `from_seq` on, numbered as the first time.
    pub fn read(&self, extent: &Extent, from_seq: Seq) -> Result<Vec<Event>, ReadError> {
        let segment = extent.segment;
        if extent.quarantined > 0 || extent.events == 0 || from_seq >= extent.next_seq() {
            return Ok(Vec::new());
        }
        let file = self.file(segment)?.ok_or(ReadError::Gone { segment })?;
        let mut events = Vec::new();
        let mut seq = extent.first_seq;
        let mut first_bad = None;
        lines_between(file.as_ref(), extent.start, extent.end, |line| {
            let Content::Text(text) = line.content else {
                return;
            };
            let position = Position { segment, offset: line.start };
            match parse_line(text, position, seq, extent.seen) {
                Ok(event) => {
                    if seq >= from_seq {
                        events.push(event);
                    }
                    seq += 1;
                }
                Err(rejection) => {
                    first_bad.get_or_insert(ReadError::NotAnEvent { position, rejection });
                }
            }
        })
        .map_err(|source| ReadError::Io { segment, source })?;
        if let Some(error) = first_bad {
            return Err(error);
        }
        if seq != extent.next_seq() {
            let found = u32::try_from(seq - extent.first_seq).unwrap_or(u32::MAX);
            let (start, end, expected) = (extent.start, extent.end, extent.events);
            return Err(ReadError::Changed { segment, start, end, expected, found });
        }
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
        let kept = remnant::read(self.files.as_ref(), &self.layout, segment, position.offset).map_err(failed)?;
        kept.map_or(Ok(None), |line| parse(&line))
    }

    fn file(&self, segment: SegmentId) -> Result<Option<Arc<dyn ReadFile>>, ReadError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = open.iter().find(|(id, _)| *id == segment) {
            return Ok(Some(Arc::clone(file)));
        }
        let Some(file) = self.find(segment).map_err(|source| ReadError::Io { segment, source })? else {
            return Ok(None);
        };
        if open.len() == MAX_OPEN {
            open.pop_front();
        }
        open.push_back((segment, Arc::clone(&file)));
        Ok(Some(file))
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
