//! The second half of a tick: turns of reading, and sealing what is finished.

use std::io;
use std::path::PathBuf;

use super::error::IngestError;
use super::layout::ignore_missing;
use super::quarantine::PutError;
use super::seal::{SealRules, SealStep};
use super::segment::{Segment, Turn, TurnLimits};
use super::shelf::Sealed;
use super::status::ProblemKind;
use super::stream::Stream;
use super::tailer::{Ingest, TickState};
use super::tally::SourceKind;
use super::tick::Batch;

/// Bytes of one stream per tick, so that a long file does not keep the others waiting.
const TURN_BYTES: u64 = 1 << 20;
/// Segments kept open; beyond, those read to their end are opened again for each look.
const MAX_OPEN: usize = 256;

/// Why a turn did not come about.
enum Trouble {
    /// May pass: the stream pauses.
    Wait {
        path: PathBuf,
        error: io::Error,
    },
    Fatal(IngestError),
}

impl Trouble {
    fn wait(segment: &Segment) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = segment.path.clone();
        move |error| Trouble::Wait { path, error }
    }
}

enum Step {
    /// Read to its present end; it may grow.
    Open,
    /// There is more to read.
    Unread,
    /// Finished, and out of the stream.
    Done,
}

impl Ingest {
    /// Gives one stream its turn; false when nothing is left of it.
    pub(super) fn visit(&mut self, key: &str, tick: &mut TickState) -> Result<bool, IngestError> {
        let Some(mut stream) = self.streams.remove(key) else {
            return Ok(false);
        };
        if stream.pause.until > tick.at {
            tick.wake_at(stream.pause.until);
        } else {
            match self.read_stream(key, &mut stream, tick) {
                Ok(()) => stream.pause.worked(),
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Wait { path, error }) => {
                    stream.pause.failed(tick.at);
                    tick.wake_at(stream.pause.until);
                    let detail = format!("cannot be taken in: {error}; it is tried again");
                    self.problems.set(ProblemKind::Unreadable, &path, detail, tick.now);
                }
            }
        }
        let is_fresh = stream.claimed.is_some_and(|claimed| tick.at < claimed + self.settings.claim_interval);
        let is_kept = !stream.segments.is_empty() || is_fresh;
        if is_kept {
            self.streams.insert(key.to_owned(), stream);
        }
        Ok(is_kept)
    }

    fn read_stream(&mut self, key: &str, stream: &mut Stream, tick: &mut TickState) -> Result<(), Trouble> {
        let mut left = TURN_BYTES.min(tick.bytes_left);
        let mut index = 0;
        while index < stream.segments.len() {
            let rejected_before = tick.rejected;
            let step = self.read_segment(key, &mut stream.segments[index], &mut left, tick)?;
            if let Some(until) = stream.rejected(tick.rejected - rejected_before, tick.at) {
                stream.pause.until = until;
                let detail = "thousands of lines that are no events: reading slows down; does something else than events get written here?";
                self.problems.set(ProblemKind::Flood, &self.layout.inbox.join(key), detail, tick.now);
                tick.wake_at(until);
                return Ok(());
            }
            match step {
                Step::Unread => {
                    tick.is_more = true;
                    return Ok(());
                }
                Step::Open => index += 1,
                Step::Done => drop(stream.segments.remove(index)),
            }
        }
        self.problems.clear(ProblemKind::Flood, &self.layout.inbox.join(key));
        Ok(())
    }

    fn read_segment(
        &mut self,
        key: &str,
        segment: &mut Segment,
        left: &mut u64,
        tick: &mut TickState,
    ) -> Result<Step, Trouble> {
        match segment.open(self.files.as_ref()) {
            Ok(is_new) => self.open_files += usize::from(is_new),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let detail = "gone from the spool before it was read to its end; somebody removed it";
                self.problems.set(ProblemKind::Truncated, &segment.path, detail, tick.now);
                self.index.remove(segment.id);
                return Ok(Step::Done);
            }
            Err(error) => return Err(Trouble::wait(segment)(error)),
        }
        let limits = TurnLimits { max_line: self.settings.max_line, bytes: *left, events: tick.events_left };
        let turn = segment.turn(limits, tick.now, self.next_seq, &mut self.buffer).map_err(Trouble::wait(segment))?;
        if turn.len < segment.consumed() {
            let detail = format!(
                "{} bytes long, {} were read: somebody truncated a claimed file; deliveries of the cut-off lines may fail",
                turn.len,
                segment.consumed()
            );
            self.problems.set(ProblemKind::Truncated, &segment.path, detail, tick.now);
            self.shelve(segment, true);
            return Ok(Step::Done);
        }
        *left = left.saturating_sub(turn.read);
        tick.bytes_left = tick.bytes_left.saturating_sub(turn.read);
        let at_end = turn.at_end;
        self.accept(key, segment, turn, tick)?;
        self.problems.clear(ProblemKind::Unreadable, &segment.path);
        if !at_end {
            return Ok(Step::Unread);
        }
        if segment.seal.next_ask() <= tick.at {
            let writers = segment.writers().map_err(Trouble::wait(segment))?;
            let rules = SealRules { grace: self.settings.seal_grace, idle: self.settings.seal_idle };
            if let SealStep::Sealed { proven } = segment.seal.answer(writers, tick.at, rules) {
                return self.seal(key, segment, proven, tick);
            }
        }
        tick.wake_at(segment.seal.next_ask());
        if self.open_files > MAX_OPEN && segment.close() {
            self.open_files -= 1;
        }
        Ok(Step::Open)
    }

    /// Ends a segment nobody can write to: judges what follows its last LF and puts it on the shelf.
    fn seal(&mut self, key: &str, segment: &mut Segment, proven: bool, tick: &mut TickState) -> Result<Step, Trouble> {
        let len = segment.file().and_then(|file| file.stat()).map_err(Trouble::wait(segment))?.len;
        if len != segment.len {
            return Ok(Step::Unread);
        }
        let tail = segment
            .tail(self.settings.max_line, tick.now, self.next_seq, &mut self.buffer)
            .map_err(Trouble::wait(segment))?;
        self.accept(key, segment, tail, tick)?;
        if len == 0 {
            ignore_missing(self.files.unlink(&segment.path)).map_err(Trouble::wait(segment))?;
            self.index.remove(segment.id);
            self.open_files -= usize::from(segment.close());
        } else {
            self.shelve(segment, proven);
        }
        Ok(Step::Done)
    }

    fn shelve(&mut self, segment: &mut Segment, proven: bool) {
        self.open_files -= usize::from(segment.close());
        let sealed =
            Sealed { path: segment.path.clone(), consumed: segment.consumed(), settled_at: segment.settled_at, proven };
        self.shelf.sealed.insert(segment.id, sealed);
    }

    /// Makes a turn durable and counts it: rejected lines are on record and the bytes on disk before it is handed out.
    fn accept(&mut self, key: &str, segment: &mut Segment, turn: Turn, tick: &mut TickState) -> Result<(), Trouble> {
        let wait = |error| Trouble::Wait { path: segment.path.clone(), error };
        let file = segment.file().map_err(wait)?;
        for bad in &turn.judge.bad {
            self.quarantine.put(bad, segment.id, key, file, tick.now).map_err(|error| match error {
                PutError::Read(error) => wait(error),
                PutError::Write(error) => {
                    wait(io::Error::new(error.kind(), format!("the quarantine cannot be written: {error}")))
                }
                PutError::Fatal(error) => Trouble::Fatal(error),
            })?;
        }
        let needs_sync = !turn.judge.extents.is_empty() && segment.needs_sync(&turn);
        if needs_sync {
            file.sync_data().map_err(|error| Trouble::Fatal(IngestError::durability(&segment.path)(error)))?;
            segment.synced_to(turn.len);
        }
        segment.take(&turn, tick.now, tick.at);
        self.tally.add(SourceKind::of(key), turn.judge.events.len(), &turn.judge.bad);
        self.next_seq = turn.judge.next_seq();
        tick.events_left = tick.events_left.saturating_sub(turn.judge.events.len());
        tick.rejected += turn.judge.bad.len();
        if !turn.judge.extents.is_empty() {
            let (extents, events) = (turn.judge.extents, turn.judge.events);
            tick.batches.push(Batch { extents, events, log_cursors: Vec::new() });
        }
        Ok(())
    }
}
