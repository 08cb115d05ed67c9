//! The first half of a tick: new segments, claimed from `in/` or copied from logs.

use super::claim::{ClaimRun, LIST_PAUSE};
use super::error::IngestError;
use super::log::CopyRun;
use super::seal::SealRules;
use super::segment::Segment;
use super::status::ProblemKind;
use super::stream::Stream;
use super::tailer::{Ingest, TICK_BYTES, TickState};
use super::tick::Batch;
use crate::model::{SegmentId, Timestamp};

/// Claims per tick.
const TICK_CLAIMS: usize = 1024;
/// Claims at a time while the disk is short.
const LOW_CLAIMS: usize = 16;

impl Ingest {
    /// Takes new segments, as many as there is room for.
    pub(super) fn gather(&mut self, tick: &mut TickState) -> Result<(), IngestError> {
        self.budget.look(self.files.as_ref(), tick.at);
        self.ask_to_wait(tick.now);
        if !self.budget.is_low() {
            self.quarantine.hold_room(self.settings.reserve != Some(0));
            self.claim_waiting(TICK_CLAIMS, tick)?;
            return self.copy_logs(tick);
        }
        // What lies in `in/` fills the disk too: when all else is done, taking a little of it makes room.
        let is_done = |stream: &Stream| stream.segments.is_empty();
        let is_all_done = self.streams.values().all(is_done) && self.shelf.sealed.is_empty();
        if is_all_done && self.shelf.archived.is_empty() {
            self.claim_waiting(LOW_CLAIMS, tick)?;
        }
        Ok(())
    }

    /// Puts up the sign for producers, or takes it down.
    fn ask_to_wait(&mut self, now: Timestamp) {
        let is_low = self.budget.is_low();
        let spool = self.layout.root.clone();
        if self.is_asking == Some(is_low) {
            return;
        }
        match self.budget.shortage_text() {
            Some(text) => {
                tracing::warn!("{text}: producers are asked to wait");
                self.problems.set(ProblemKind::Space, &spool, text.to_owned(), now);
            }
            None => {
                self.problems.clear(ProblemKind::Space, &spool);
                if self.is_asking.is_some() {
                    tracing::info!("there is room on disk again: producers may go on");
                }
            }
        }
        // On a full disk the sign may not be possible; the state of health tells all the same.
        let is_done = self.layout.signal_backpressure(self.files.as_ref(), is_low).is_ok();
        self.is_asking = is_done.then_some(is_low);
    }

    /// Claims at most so many files of those in `in/`, each NAME at most once per `claim_interval`.
    fn claim_waiting(&mut self, claims_max: usize, tick: &mut TickState) -> Result<(), IngestError> {
        if self.inbox.waiting.is_empty() {
            match self.inbox.listed {
                Some(listed) if tick.at < listed + LIST_PAUSE => {
                    tick.wake_at(listed + LIST_PAUSE);
                    return Ok(());
                }
                _ => self.list_inbox(tick),
            }
        }
        let mut claims = 0;
        while let Some(candidate) = self.inbox.waiting.pop_front() {
            let claimed = self.streams.get(&candidate.stem).and_then(|stream| stream.claimed);
            if let Some(claimed) = claimed
                && tick.at < claimed + self.settings.claim_interval
            {
                tick.wake_at(claimed + self.settings.claim_interval);
                self.inbox.has_deferred = true;
                continue;
            }
            let id = self.fresh_id(tick.now);
            let mut run = ClaimRun {
                files: self.files.as_ref(),
                layout: &self.layout,
                index: &self.index,
                problems: &mut self.problems,
                now: tick.now,
                at: tick.at,
            };
            if let Some(path) = self.inbox.claim(&candidate, id, &mut run) {
                self.index.set(id, path.clone());
                let segment = Segment::new(id, path, 0, self.next_seq, tick.at);
                self.stream(&candidate.stem).claimed = Some(tick.at);
                self.push_segment(&candidate.stem, segment);
                claims += 1;
            }
            if claims == claims_max {
                break;
            }
        }
        if claims > 0 {
            for dir in [&self.layout.claimed, &self.layout.inbox] {
                self.files.sync_dir(dir).map_err(IngestError::durability(dir))?;
            }
        }
        tick.is_more |= !self.inbox.waiting.is_empty();
        Ok(())
    }

    fn list_inbox(&mut self, tick: &TickState) {
        let files = self.files.as_ref();
        let mut run = ClaimRun {
            files: self.files.as_ref(),
            layout: &self.layout,
            index: &self.index,
            problems: &mut self.problems,
            now: tick.now,
            at: tick.at,
        };
        let listed = self.inbox.list(&mut run);
        let path = &self.layout.inbox;
        let Err(error) = listed else {
            self.problems.clear(ProblemKind::Unreadable, path);
            return;
        };
        let mended = match error.kind() {
            std::io::ErrorKind::NotFound => self.layout.restore_inbox(files, self.spool_id),
            _ => Err(error),
        };
        if let Err(error) = mended {
            self.problems.set(ProblemKind::Unreadable, path, format!("cannot be listed: {error}"), tick.now);
        }
    }

    pub(super) fn copy_logs(&mut self, tick: &mut TickState) -> Result<(), IngestError> {
        let mut cursors = Vec::new();
        let mut logs = std::mem::take(&mut self.logs);
        for log in &mut logs {
            let (mut last, random) = (self.last_segment, &mut self.random);
            let mut fresh_id = || {
                let id = SegmentId::next(tick.now, last, random.u64(..));
                last = Some(id);
                id
            };
            let mut run = CopyRun {
                files: self.files.as_ref(),
                layout: &self.layout,
                problems: &mut self.problems,
                max_line: self.settings.max_line,
                rules: SealRules { grace: self.settings.seal_grace, idle: self.settings.seal_idle },
                scan_interval: self.settings.scan_interval,
                now: tick.now,
                at: tick.at,
                buffer: &mut self.buffer,
                fresh_id: &mut fresh_id,
                left: TICK_BYTES,
                made: Vec::new(),
                closed: Vec::new(),
                cursors: Vec::new(),
            };
            log.poll(&mut run)?;
            let (made, closed) = (run.made, run.closed);
            tick.is_more |= run.left == 0;
            cursors.append(&mut run.cursors);
            self.last_segment = last;
            let key = log.stream();
            if !made.is_empty() {
                let dir = &self.layout.claimed;
                self.files.sync_dir(dir).map_err(IngestError::durability(dir))?;
            }
            for (id, path) in made {
                self.index.set(id, path.clone());
                let mut segment = Segment::new(id, path, 0, self.next_seq, tick.at);
                segment.copying = Some(true);
                self.push_segment(&key, segment);
            }
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.segments.iter_mut().filter(|segment| closed.contains(&segment.id)).for_each(|segment| {
                    segment.copying = Some(false);
                });
            }
        }
        self.logs = logs;
        if !cursors.is_empty() {
            tick.batches.push(Batch { log_cursors: cursors, ..Batch::default() });
        }
        Ok(())
    }
}
