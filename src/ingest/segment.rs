//! One claimed segment that is being read: its open file, how far it is read and synced, and whether it may be sealed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::env::{Files, ReadFile, Writers};
use crate::model::{SegmentId, Seq, Timestamp};

use super::framing::{BLOCK, Block, Framer, Line, content, lines, read_range};
use super::judge::Judge;
use super::seal::Seal;

/// Bounds of one turn, so that no segment keeps the others waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnLimits {
    pub(super) max_line: usize,
    pub(super) bytes: u64,
    pub(super) events: usize,
}

/// Rejected lines per turn: each costs a record.
const MAX_BAD: usize = 256;

/// What a turn brought. Nothing of it counts until `Segment::take` is told so.
pub(super) struct Turn {
    pub(super) judge: Judge,
    framer: Framer,
    pub(super) len: u64,
    /// Bytes looked at.
    pub(super) read: u64,
    pub(super) at_end: bool,
}

pub(super) struct Segment {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    file: Option<Box<dyn ReadFile>>,
    framer: Framer,
    synced: u64,
    /// Length when last looked at.
    pub(super) len: u64,
    pub(super) seal: Seal,
    /// A copy of a log: `Some(true)` while we still append to it. Nobody else ever writes to it.
    pub(super) copying: Option<bool>,
    /// Every event of it has a smaller sequence number.
    pub(super) settled_at: Seq,
    pub(super) last_read: Option<Timestamp>,
}

impl Segment {
    /// A segment of which everything before `consumed` was taken in earlier, under numbers below `next_seq`.
    pub(super) fn new(id: SegmentId, path: PathBuf, consumed: u64, next_seq: Seq, now: Duration) -> Self {
        Self {
            id,
            path,
            file: None,
            framer: Framer::at(consumed),
            synced: 0,
            len: consumed,
            seal: Seal::new(now),
            copying: None,
            settled_at: if consumed > 0 { next_seq } else { 0 },
            last_read: None,
        }
    }

    /// Everything before this offset has been returned in extents.
    pub(super) fn consumed(&self) -> u64 {
        self.framer.start()
    }

    /// Opens the file if need be; true when that took a descriptor.
    pub(super) fn open(&mut self, files: &dyn Files) -> io::Result<bool> {
        let is_new = self.file.is_none();
        if is_new {
            self.file = Some(files.open(&self.path)?);
        }
        Ok(is_new)
    }

    /// Gives the descriptor back; true when there was one.
    pub(super) fn close(&mut self) -> bool {
        self.file.take().is_some()
    }

    pub(super) fn file(&self) -> io::Result<&dyn ReadFile> {
        self.file.as_deref().ok_or_else(|| io::Error::other("the segment is not open"))
    }

    /// Reads on from where the last turn that was taken ended.
    pub(super) fn turn(
        &self,
        limits: TurnLimits,
        seen: Timestamp,
        next_seq: Seq,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Turn> {
        let file = self.file()?;
        let len = file.stat()?.len;
        let mut turn =
            Turn { judge: Judge::new(self.id, seen, next_seq), framer: self.framer, len, read: 0, at_end: false };
        while turn.read < limits.bytes && turn.judge.events.len() < limits.events && turn.judge.bad.len() < MAX_BAD {
            let block = turn.framer.next_block(file, len, limits.max_line, BLOCK, buffer)?;
            turn.read += buffer.len() as u64;
            match block {
                Block::More => {}
                Block::Starved => {
                    turn.at_end = true;
                    break;
                }
                Block::TooLong { end } => {
                    turn.judge.too_long(turn.framer.start(), end, limits.max_line);
                    turn.framer = Framer::at(end);
                }
                Block::Lines { from } => {
                    for line in lines(buffer, from, turn.framer.start(), limits.max_line) {
                        turn.framer = Framer::at(line.end);
                        turn.judge.line(line, limits.max_line);
                        if turn.judge.events.len() >= limits.events || turn.judge.bad.len() >= MAX_BAD {
                            break;
                        }
                    }
                }
            }
        }
        Ok(turn)
    }

    /// Judges what stands after the last LF; only for a segment that is finished.
    pub(super) fn tail(
        &self,
        max_line: usize,
        seen: Timestamp,
        next_seq: Seq,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Turn> {
        let file = self.file()?;
        let len = self.len;
        let mut judge = Judge::new(self.id, seen, next_seq);
        let (start, text) = (self.framer.start(), self.framer.text_start().min(len));
        if len - text > max_line as u64 + 4 {
            judge.too_long(start, len, max_line);
        } else if start < len {
            read_range(file, text, len - text, buffer)?;
            if buffer.len() as u64 != len - text {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            judge.tail(Line { start, end: len, content: content(buffer, start == 0, max_line) }, max_line);
        }
        Ok(Turn { judge, framer: Framer::at(len), len, read: len - start, at_end: true })
    }

    /// Whether bytes of `turn` may not be on disk yet. What we copy ourselves is synced as it is written.
    pub(super) fn needs_sync(&self, turn: &Turn) -> bool {
        self.copying != Some(true) && turn.framer.start() > self.synced
    }

    /// Takes note that everything up to `len` was made durable.
    pub(super) fn synced_to(&mut self, len: u64) {
        self.synced = len;
    }

    /// Lets a turn count.
    pub(super) fn take(&mut self, turn: &Turn, seen: Timestamp, now: Duration) {
        if !turn.judge.extents.is_empty() {
            self.settled_at = turn.judge.next_seq();
            self.last_read = Some(seen);
        }
        self.framer = turn.framer;
        self.len = turn.len;
        self.seal.observe(turn.len, now);
    }

    /// Who can still write to it.
    pub(super) fn writers(&self) -> io::Result<Writers> {
        if let Some(is_growing) = self.copying {
            return Ok(if is_growing { Writers::Some } else { Writers::None });
        }
        let file = self.file()?;
        // Whoever knows the other name of a file with two can open it later: a lease proves nothing then.
        Ok(if file.stat()?.nlink > 1 { Writers::Unknown } else { file.writers() })
    }
}
