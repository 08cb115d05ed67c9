//! The open state: journal, ledger and view together, and the one place where something becomes durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::checkpoint::{self, CheckpointError};
use super::journal::{Journal, JournalError};
use super::ledger::{Ledger, RowChange};
use super::lock::{LockError, StateLock};
use super::record::{DeliveryKey, ExceptionStatus, Record};
use super::tree::{SledTrees, Trees};
use super::view::{Dirty, View, ViewError};
use super::{opening, recovering};
use crate::env::Files;
use crate::model::{OrderKey, Timestamp};

/// How often what is in memory is written down, and how large a journal file grows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The view gets the ledger rows after this many records...
    pub ledger_records: u64,
    /// ...and a checkpoint is written after this many.
    pub checkpoint_records: u64,
    /// A journal file is closed when it has grown past this.
    pub journal_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ledger_records: 20_000, checkpoint_records: 400_000, journal_file_bytes: 16 << 20 }
    }
}

/// The state does not open, or durability is in doubt.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} belongs to a state that was made at {ours}, view and checkpoint beside it to one made at {theirs}: directories \
         of two installations were mixed. Restore those that belong together, or move the whole state directory away to \
         start over (at-most-once deliveries of what lies in the spool then become unknown)",
        dir.display()
    )]
    Mixed { dir: PathBuf, ours: Timestamp, theirs: Timestamp },
}

impl StateError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// What opening the state found.
#[derive(Debug, Default)]
pub struct Opened {
    /// There was no state at all.
    pub fresh: bool,
    /// Records are lost, or may be.
    pub forgot: bool,
    /// A backup was put back, and it is whole: `notices` tell what follows from that.
    pub is_restored: bool,
    /// Where an unusable view was moved, and why.
    pub rebuilt: Option<(PathBuf, String)>,
    /// How many records are known to be lost.
    pub lost: u64,
    pub replayed: u64,
    /// What was found and done about it, in sentences for people.
    pub notices: Vec<String>,
}

impl Opened {
    /// Nobody knows any more which at-most-once deliveries of what lies in the spool were sent.
    pub fn forgot_claims(&self) -> bool {
        self.fresh || self.forgot
    }
}

/// A parked row that was written or removed: the scheduler must know before it looks for due rows again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowNotice {
    pub key: DeliveryKey,
    /// When it is due, if it is parked now.
    pub due: Option<Timestamp>,
    /// What it is kept in order by.
    pub order: Option<OrderKey>,
}

/// The state as others may look at it: the ledger behind a short lock, the view's rows.
#[derive(Clone)]
pub struct StateReader {
    ledger: Arc<Mutex<Ledger>>,
    pub view: View,
    pub files: Arc<dyn Files>,
    pub journal_dir: PathBuf,
    /// When this state was made: its numbers are those of no other.
    pub born: Timestamp,
    /// Held as long as somebody can reach the state.
    lock: Option<Arc<StateLock>>,
}

impl StateReader {
    /// The ledger, locked. Hold it briefly: the committer waits.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open state. One thread owns it and commits.
pub struct State {
    dir: PathBuf,
    /// When this state was made.
    born: Timestamp,
    journal: Journal,
    reader: StateReader,
    dirty: Dirty,
    checkpoint_dir: PathBuf,
    since_checkpoint: u64,
    limits: Limits,
}

impl State {
    /// Opens the state in `dir`, mending what can be mended: a view that does not open or has lost rows is moved aside and
    /// rebuilt from the newest checkpoint and the journal.
    pub fn open(files: Arc<dyn Files>, dir: &Path, now: Timestamp) -> Result<(Self, Opened), StateError> {
        let create_error =
            |source| StateError::Io { action: "create the state directory", path: dir.to_owned(), source };
        files.create_dirs(dir, 0o700).map_err(create_error)?;
        let lock = StateLock::take(dir)?;
        let (mut state, opened) = Self::open_unlocked(files, &SledTrees, Limits::default(), dir, now)?;
        state.reader.lock = Some(Arc::new(lock));
        Ok((state, opened))
    }

    /// Opens the state in `dir`, which nobody else can reach, with its view among `trees`.
    pub fn open_unlocked(
        files: Arc<dyn Files>,
        trees: &dyn Trees,
        limits: Limits,
        dir: &Path,
        now: Timestamp,
    ) -> Result<(Self, Opened), StateError> {
        let (parts, opened) = opening::open(&files, trees, limits, dir, now)?;
        let opening::Parts { journal, view, ledger, dirty, born } = parts;
        let (journal_dir, checkpoint_dir) = (dir.join("journal"), dir.join("checkpoint"));
        let newest = checkpoint::newest_lsn(&*files, &checkpoint_dir);
        let since_checkpoint = ledger.lsn.saturating_sub(newest);
        let reader = StateReader { ledger: Arc::new(Mutex::new(ledger)), view, files, journal_dir, born, lock: None };
        let mut state =
            Self { dir: dir.to_owned(), born, journal, reader, dirty, checkpoint_dir, since_checkpoint, limits };
        state.store_ledger()?;
        if opened.rebuilt.is_some() || (opened.forgot && !opened.fresh) {
            state.checkpoint()?;
        }
        Ok((state, opened))
    }

    /// What opening found lost has been answered for, durably.
    pub fn answered(&mut self) -> Result<(), StateError> {
        recovering::clear(&*self.reader.files, &self.dir)
            .map_err(|source| StateError::io("remove the notice in", &self.dir, source))
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A handle for those who only look.
    pub fn reader(&self) -> StateReader {
        self.reader.clone()
    }

    /// Makes `records` durable in one commit and applies them. An error means that nothing may be believed any more: stop.
    pub fn commit(&mut self, records: &[Record]) -> Result<Vec<RowNotice>, StateError> {
        let first = self.journal.commit(records)?;
        let mut changes = Vec::new();
        {
            let mut ledger = self.reader.ledger();
            for (index, record) in records.iter().enumerate() {
                changes.extend(note(&mut ledger, &mut self.dirty, first + index as u64, record));
            }
        }
        let lsn = self.reader.ledger().lsn;
        self.reader.view.apply(&changes, lsn)?;
        self.since_checkpoint += records.len() as u64;
        if self.dirty.records >= self.limits.ledger_records {
            self.store_ledger()?;
        }
        if self.since_checkpoint >= self.limits.checkpoint_records {
            self.checkpoint()?;
        }
        Ok(changes.into_iter().map(notice).collect())
    }

    /// Writes the ledger rows to the view, if any changed.
    pub fn store_ledger(&mut self) -> Result<(), StateError> {
        if self.dirty.records > 0 {
            let dirty = std::mem::take(&mut self.dirty);
            let ledger = self.reader.ledger();
            self.reader.view.store_ledger(&ledger, &dirty, self.born)?;
        }
        Ok(())
    }

    /// Writes a checkpoint: at a clean stop, and every so many records.
    pub fn checkpoint(&mut self) -> Result<(), StateError> {
        self.store_ledger()?;
        let lsn = self.reader.ledger().lsn;
        checkpoint::write(&*self.reader.files, &self.checkpoint_dir, &self.reader.view, lsn)?;
        self.since_checkpoint = 0;
        Ok(())
    }

    /// Drops the history that was written before `before`, and the oldest while the journal is larger than `bytes_max`; never
    /// what a checkpoint does not hold yet: one is written first. Returns the number of journal files removed.
    pub fn prune_history(&mut self, bytes_max: u64, before: Timestamp) -> Result<usize, StateError> {
        if !self.journal.is_over(bytes_max, before)? {
            return Ok(0);
        }
        if self.since_checkpoint > 0 {
            self.checkpoint()?;
        }
        // The older checkpoint is of use as long as the journal reaches back to it.
        let upto = checkpoint::oldest_lsn(&*self.reader.files, &self.checkpoint_dir);
        Ok(self.journal.prune(upto, bytes_max, before)?)
    }
}

pub(super) fn note(ledger: &mut Ledger, dirty: &mut Dirty, lsn: u64, record: &Record) -> Option<RowChange> {
    dirty.records += 1;
    match record {
        Record::Taken { matched, .. } => {
            dirty.lanes.extend(matched.iter().map(|(sub, _)| *sub));
        }
        Record::SourceCursor { source, .. } => {
            dirty.sources.insert(source.clone());
        }
        Record::Purged { segment, .. } => {
            dirty.chunks.extend(ledger.extents.chunks_of(*segment));
        }
        Record::Subscribed { sub, .. }
        | Record::Unsubscribed { sub, .. }
        | Record::Paused { sub, .. }
        | Record::Resumed { sub, .. }
        | Record::Withdrawn { sub, .. }
        | Record::Dropped { sub, .. } => {
            dirty.lanes.insert(*sub);
        }
        Record::Claimed { key, .. }
        | Record::Released { key }
        | Record::Attempted { key, .. }
        | Record::Ended { key, .. }
        | Record::Retriggered { key, .. }
        | Record::Forgotten { key, .. }
        | Record::Replayed { key, .. } => {
            dirty.lanes.insert(key.sub);
        }
        Record::Started { .. } => {}
    }
    let change = ledger.apply(lsn, record);
    if let Record::Taken { .. } = record {
        dirty.chunks.extend(ledger.extents.last_chunk());
    }
    change
}

fn notice(change: RowChange) -> RowNotice {
    match change {
        RowChange::Put(key, row) => {
            let due = (row.status == ExceptionStatus::Parked).then_some(row.due);
            RowNotice { key, due, order: row.facts.order }
        }
        RowChange::Delete(key) => RowNotice { key, due: None, order: None },
    }
}
