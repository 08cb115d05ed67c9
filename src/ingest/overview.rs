//! What ingest tells others about itself: troubles, progress, and a way to look events up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::log::LogSource;
use super::reader::LogReader;
use super::segment::Segment;
use super::status::{Problem, SourceStatus};
use super::stream::Stream;
use super::tailer::Ingest;
use super::tally::Tally;
use crate::model::SegmentId;

impl Ingest {
    /// A look-up side for other threads, kept up to date with the moves of this one.
    pub fn reader(&self) -> LogReader {
        LogReader::sharing(Arc::clone(&self.files), self.layout.clone(), self.index.clone())
    }

    /// What is short on disk, while producers are asked to wait because of it.
    pub fn shortage(&self) -> Option<&str> {
        self.budget.shortage_text()
    }

    /// No engine has used this spool before.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The greatest segment id ever seen.
    pub fn newest_segment(&self) -> Option<SegmentId> {
        self.last_segment
    }

    /// Length of every segment that may still grow.
    pub fn open_lengths(&self) -> BTreeMap<SegmentId, u64> {
        let segments = self.streams.values().flat_map(|stream| &stream.segments);
        let may_grow = segments.filter(|segment| segment.copying.is_none());
        may_grow.filter_map(|segment| Some((segment.id, self.files.stat(&segment.path).ok()?.len))).collect()
    }

    /// Segments that were made again from single lines: what was known of them is to be forgotten.
    pub fn brought_back(&self) -> &BTreeSet<SegmentId> {
        &self.brought_back
    }

    /// What needs a person's hand now.
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.all()
    }

    /// Whether the disk is short, or may be soon.
    pub fn is_tight(&self) -> bool {
        self.budget.is_tight()
    }

    /// Whether nothing readable is waiting: no file to claim, no whole line unread, no ended line still to be judged.
    pub fn is_drained(&self) -> bool {
        let is_read = |stream: &Stream| {
            stream
                .segments
                .iter()
                .all(|segment| segment.consumed() == segment.len && segment.len > 0 || segment.seal.has_writer)
        };
        !self.budget.is_low()
            && self.inbox.is_empty()
            && self.streams.values().all(is_read)
            && self.logs.iter().all(LogSource::is_drained)
    }

    /// What was read so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How far each source is read.
    pub fn sources(&self) -> Vec<SourceStatus> {
        let mut all: BTreeMap<String, SourceStatus> = BTreeMap::new();
        for (key, stream) in &self.streams {
            let behind = |segment: &Segment| segment.len.saturating_sub(segment.consumed());
            let status = SourceStatus {
                name: key.clone(),
                files: stream.segments.len(),
                bytes_behind: stream.segments.iter().map(behind).sum(),
                last_read: stream.segments.iter().filter_map(|segment| segment.last_read).max(),
            };
            all.insert(key.clone(), status);
        }
        for log in &self.logs {
            let (files, bytes) = log.behind();
            let name = log.stream();
            let status =
                all.entry(name.clone()).or_insert(SourceStatus { name, files: 0, bytes_behind: 0, last_read: None });
            status.files = files;
            status.bytes_behind += bytes;
        }
        all.into_values().collect()
    }
}
