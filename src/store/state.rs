//! The open state: journal, ledger and view together, and the one place where something becomes durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::checkpoint::{self, CheckpointError};
use super::journal::{self, Damage, Journal, JournalError};
use super::ledger::{Ledger, RowChange};
use super::lock::{LockError, StateLock};
use super::record::{DeliveryKey, ExceptionStatus, Record};
use super::tree::{SledTrees, Trees};
use super::view::{Dirty, View, ViewError};
use crate::env::Files;
use crate::model::Timestamp;

/// The view gets the ledger rows after this many records...
const LEDGER_RECORDS_MAX: u64 = 20_000;
/// ...and a checkpoint is written after this many.
const CHECKPOINT_RECORDS: u64 = 400_000;

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
        "the view in {} reflects record {view}, the journal ends at {journal}: an older journal was put back. Restore the \
         journal that belongs to it, or remove the whole state directory to start over (at-most-once deliveries of \
         what lies in the spool then become unknown)",
        dir.display()
    )]
    JournalBehind { dir: PathBuf, view: u64, journal: u64 },
}

/// What opening the state found.
#[derive(Debug, Default)]
pub struct Opened {
    /// There was no state at all.
    pub fresh: bool,
    pub damage: Vec<Damage>,
    /// Where an unusable view was moved, and why.
    pub rebuilt: Option<(PathBuf, String)>,
    /// Records that are missing behind the view or checkpoint.
    pub lost: u64,
    pub replayed: u64,
}

impl Opened {
    /// What was found and done, in sentences.
    pub fn notices(&self) -> Vec<String> {
        let mut notices: Vec<_> = self.damage.iter().map(|damage| format!("{damage:?}")).collect();
        notices.extend(self.rebuilt.iter().map(|rebuilt| format!("{rebuilt:?}")));
        if self.lost > 0 {
            notices.push(format!("{} lost", self.lost));
        }
        notices
    }

    /// Nobody knows any more which at-most-once deliveries of what lies in the spool were sent.
    pub fn forgot_claims(&self) -> bool {
        self.fresh || self.lost > 0 || (self.rebuilt.is_some() && self.replayed == 0)
    }
}

/// A parked row that was written or removed: the scheduler must know before it looks for due rows again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowNotice {
    pub key: DeliveryKey,
    /// When it is due, if it is parked now.
    pub due: Option<Timestamp>,
}

/// The state as others may look at it: the ledger behind a short lock, the view's rows.
#[derive(Clone)]
pub struct StateReader {
    ledger: Arc<Mutex<Ledger>>,
    pub view: View,
    pub files: Arc<dyn Files>,
    pub journal_dir: PathBuf,
}

impl StateReader {
    /// The ledger, locked. Hold it briefly: the committer waits.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open state. One thread owns it and commits.
pub struct State {
    journal: Journal,
    reader: StateReader,
    dirty: Dirty,
    checkpoint_dir: PathBuf,
    since_checkpoint: u64,
    /// Held as long as the state is open.
    lock: Option<StateLock>,
}

impl State {
    /// Opens the state in `dir`, mending what can be mended: a view that does not open or has lost rows is moved aside and
    /// rebuilt from the newest checkpoint and the journal.
    pub fn open(files: Arc<dyn Files>, dir: &Path, now: Timestamp) -> Result<(Self, Opened), StateError> {
        let create_error =
            |source| StateError::Io { action: "create the state directory", path: dir.to_owned(), source };
        files.create_dirs(dir, 0o700).map_err(create_error)?;
        let lock = StateLock::take(dir)?;
        let (mut state, opened) = Self::open_unlocked(files, &SledTrees, dir, now)?;
        state.lock = Some(lock);
        Ok((state, opened))
    }

    /// Opens the state in `dir`, which nobody else can reach, with its view among `trees`.
    pub fn open_unlocked(
        files: Arc<dyn Files>,
        trees: &dyn Trees,
        dir: &Path,
        now: Timestamp,
    ) -> Result<(Self, Opened), StateError> {
        let io_error = |action| move |source| StateError::Io { action, path: dir.to_owned(), source };
        let (view_dir, journal_dir, checkpoint_dir) = (dir.join("view"), dir.join("journal"), dir.join("checkpoint"));
        let mut opened = Opened::default();

        let listed = journal::list(&*files, &journal_dir).unwrap_or_default();
        let oldest = listed.first().map_or(0, |(first_lsn, ..)| *first_lsn);
        let loaded = View::open(trees, &*files, &view_dir).and_then(|view| {
            view.verify()?;
            match view.load_ledger()? {
                Some(ledger) if ledger.lsn + 1 < oldest => Err(ViewError::Behind { view: ledger.lsn, oldest }),
                ledger => Ok((ledger, view)),
            }
        });
        let (view, mut ledger) = match loaded {
            Ok((Some(ledger), view)) => (view, ledger),
            Ok((None, view)) => Self::restore(&*files, view, &checkpoint_dir)?,
            Err(error) => {
                let aside =
                    View::set_aside(&*files, &view_dir, now).map_err(io_error("move the damaged view out of"))?;
                opened.rebuilt = Some((aside.unwrap_or_default(), error.to_string()));
                Self::restore(&*files, View::open(trees, &*files, &view_dir)?, &checkpoint_dir)?
            }
        };

        let mut dirty = Dirty::default();
        let mut failed = None;
        let start = ledger.lsn;
        let (journal, report) = Journal::open(files.clone(), &journal_dir, start, |lsn, record| {
            opened.replayed += 1;
            if let Some(change) = note(&mut ledger, &mut dirty, lsn, &record)
                && failed.is_none()
            {
                failed = view.apply(&[change]).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        if start > report.last_lsn {
            return Err(StateError::JournalBehind { dir: dir.to_owned(), view: start, journal: report.last_lsn });
        }
        opened.lost = report.lost;
        opened.fresh = start == 0 && opened.replayed == 0 && opened.rebuilt.is_none();
        opened.damage = report.damage;
        let reader = StateReader { ledger: Arc::new(Mutex::new(ledger)), view, files, journal_dir };
        let since_checkpoint =
            reader.ledger().lsn.saturating_sub(checkpoint::newest_lsn(&*reader.files, &checkpoint_dir));
        let mut state = Self { journal, reader, dirty, checkpoint_dir, since_checkpoint, lock: None };
        state.store_ledger()?;
        Ok((state, opened))
    }

    fn restore(files: &dyn Files, view: View, checkpoints: &Path) -> Result<(View, Ledger), StateError> {
        if let Some((_, pairs)) = checkpoint::read_newest(files, checkpoints)? {
            view.restore(pairs)?;
        }
        let ledger = view.load_ledger()?.unwrap_or_else(Ledger::new);
        Ok((view, ledger))
    }

    /// Closes journal files after that many bytes, so that a test has several.
    #[cfg(test)]
    pub fn limit_journal_files(&mut self, bytes_max: u64) {
        self.journal.file_bytes_max = bytes_max;
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
        self.reader.view.apply(&changes)?;
        self.since_checkpoint += records.len() as u64;
        if self.dirty.records >= LEDGER_RECORDS_MAX {
            self.store_ledger()?;
        }
        if self.since_checkpoint >= CHECKPOINT_RECORDS {
            self.checkpoint()?;
        }
        Ok(changes.into_iter().map(notice).collect())
    }

    /// Writes the ledger rows to the view, if any changed.
    pub fn store_ledger(&mut self) -> Result<(), StateError> {
        if self.dirty.records > 0 {
            let dirty = std::mem::take(&mut self.dirty);
            let ledger = self.reader.ledger();
            self.reader.view.store_ledger(&ledger, &dirty)?;
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
        let upto = self.reader.ledger().lsn.saturating_sub(self.since_checkpoint);
        Ok(self.journal.prune(upto, bytes_max, before)?)
    }
}

fn note(ledger: &mut Ledger, dirty: &mut Dirty, lsn: u64, record: &Record) -> Option<RowChange> {
    dirty.records += 1;
    match record {
        Record::Taken { extent, matched, .. } => {
            dirty.extents.push(*extent);
            dirty.lanes.extend(matched.iter().map(|(sub, _)| *sub));
        }
        Record::SourceCursor { source, .. } => {
            dirty.sources.insert(source.clone());
        }
        Record::Purged { segment, .. } => {
            dirty.purged.insert(*segment);
        }
        Record::Subscribed { sub, .. }
        | Record::Unsubscribed { sub, .. }
        | Record::Paused { sub, .. }
        | Record::Resumed { sub, .. } => {
            dirty.lanes.insert(*sub);
        }
        Record::Claimed { key, .. }
        | Record::Attempted { key, .. }
        | Record::Ended { key, .. }
        | Record::Retriggered { key, .. }
        | Record::Replayed { key, .. } => {
            dirty.lanes.insert(key.sub);
        }
        Record::Started { .. } => {}
    }
    ledger.apply(lsn, record)
}

fn notice(change: RowChange) -> RowNotice {
    match change {
        RowChange::Put(key, row) => RowNotice { key, due: (row.status == ExceptionStatus::Parked).then_some(row.due) },
        RowChange::Delete(key) => RowNotice { key, due: None },
    }
}
