//! Lines become events, blanks and rejects, gathered into extents. Pure.
//!
//! An extent holds either events and blank lines only, or exactly one rejected line: reading it again later then never
//! means judging a bad line again, whatever the limits are by that time.

use crate::model::{Event, Extent, Position, Rejection, RejectionReason, SegmentId, Seq, Timestamp};

use super::framing::{Content, Line};
use super::quarantine::Bad;
use super::record::{parse_line, reject};

/// What a stretch of a segment holds, in order.
pub(super) struct Judge {
    segment: SegmentId,
    seen: Timestamp,
    next_seq: Seq,
    pub(super) extents: Vec<Extent>,
    pub(super) events: Vec<Event>,
    pub(super) bad: Vec<Bad>,
}

impl Judge {
    pub(super) fn new(segment: SegmentId, seen: Timestamp, next_seq: Seq) -> Self {
        Self { segment, seen, next_seq, extents: Vec::new(), events: Vec::new(), bad: Vec::new() }
    }

    /// Judges the next line; the lines of a segment must touch.
    pub(super) fn line(&mut self, line: Line<'_>, max_line: usize) {
        match line.content {
            Content::Blank => self.good(line.start, line.end).blank += 1,
            Content::TooLong => self.too_long(line.start, line.end, max_line),
            Content::Text(text) => match self.parse(text, line.start) {
                Ok(event) => self.event(event, line.end),
                Err(rejection) => self.rejected(line.start, line.end, rejection),
            },
        }
    }

    /// Judges what stands after the last LF of a segment that nobody can write to any more. An event cut short is no
    /// object, so whatever parses is whole.
    pub(super) fn tail(&mut self, line: Line<'_>, max_line: usize) {
        let Content::Text(text) = line.content else {
            return self.line(line, max_line);
        };
        match self.parse(text, line.start) {
            Ok(event) => self.event(event, line.end),
            Err(rejection) => {
                let detail =
                    format!("the file ends in the middle of a line ({}); send the event again", rejection.detail);
                self.rejected(line.start, line.end, reject(RejectionReason::TornTail, detail));
            }
        }
    }

    pub(super) fn too_long(&mut self, start: u64, end: u64, max_line: usize) {
        let detail = format!(
            "the line has {} bytes, the spool takes {max_line}; make the event smaller or raise `max_line`",
            end - start
        );
        self.rejected(start, end, reject(RejectionReason::TooLong, detail));
    }

    pub(super) fn next_seq(&self) -> Seq {
        self.next_seq
    }

    fn parse(&self, text: &[u8], offset: u64) -> Result<Event, Rejection> {
        parse_line(text, Position { segment: self.segment, offset }, self.next_seq, self.seen)
    }

    fn event(&mut self, event: Event, end: u64) {
        self.good(event.position.offset, end).events += 1;
        self.next_seq += 1;
        self.events.push(event);
    }

    fn rejected(&mut self, start: u64, end: u64, rejection: Rejection) {
        let extent = Extent { quarantined: 1, ..self.empty(start, end) };
        self.extents.push(extent);
        self.bad.push(Bad { start, end, rejection });
    }

    /// The extent of good lines that now ends at `end`.
    fn good(&mut self, start: u64, end: u64) -> &mut Extent {
        if self.extents.last().is_none_or(|last| last.quarantined > 0) {
            let extent = self.empty(start, end);
            self.extents.push(extent);
        }
        let last = self.extents.last_mut().expect("pushed above");
        last.end = end;
        last
    }

    fn empty(&self, start: u64, end: u64) -> Extent {
        Extent {
            segment: self.segment,
            start,
            end,
            first_seq: self.next_seq,
            events: 0,
            blank: 0,
            quarantined: 0,
            seen: self.seen,
        }
    }
}
