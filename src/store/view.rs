//! The view: sled, opened with care, one tree, small values.
//!
//! sled 0.34 is not trusted with anything that cannot be rebuilt: its `flush` is no fsync, and a kill while it opens can
//! leave a half-written snapshot that makes it refuse for ever. So half-written snapshots are removed before opening,
//! a panic while opening is caught, a view that will not open is moved aside, and the ledger rows become durable only
//! through our own fdatasync of its file.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chunk::Chunk;
use super::extents::Extents;
use super::ledger::{Ledger, RowChange};
use super::record::{DeliveryKey, ExceptionRow, ExceptionStatus};
use super::rows::{self, Meta, RowError};
use super::tree::{Batch, Pair, Pairs, Tree, Trees};
use crate::env::Files;
use crate::model::{SegmentId, SubId, Timestamp};

/// The view does not work. The state is not lost: it is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error("the view (sled) does not open at {}: {reason}", path.display())]
    Open { path: PathBuf, reason: String },
    #[error("it reflects record {view}, the oldest journal file begins at {oldest}")]
    Behind { view: u64, oldest: u64 },
    #[error("the view (sled) panicked while it was read")]
    Panicked,
    #[error("the view (sled) failed: {0}")]
    Sled(sled::Error),
    #[error("the view (sled) failed at {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Row(#[from] RowError),
    #[error("sync the view at {}: {source}", path.display())]
    Sync { path: PathBuf, source: io::Error },
}

impl ViewError {
    /// The machine refused for a reason that says nothing about what is in the view.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        let is_out_of_files = matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
        is_out_of_files
            || matches!(
                source.kind(),
                ErrorKind::StorageFull
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::PermissionDenied
            )
    }
}

/// The open view. Clones share one tree.
#[derive(Clone)]
pub struct View(Arc<dyn Tree>);

impl View {
    /// Opens the view in `path`, or says why not. Nothing is removed but half-written snapshots.
    pub fn open(trees: &dyn Trees, files: &dyn Files, path: &Path) -> Result<Self, ViewError> {
        Ok(Self(trees.open(files, path)?))
    }

    /// Moves whatever is at `path` out of the way and returns where it went.
    pub fn set_aside(files: &dyn Files, path: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
        match files.stat(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        for attempt in 0..100 {
            let aside = path.with_extension(format!("damaged-{}-{attempt}", now.as_secs()));
            match files.rename_new(path, &aside) {
                Ok(()) => return Ok(Some(aside)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("a hundred damaged views lie beside the state already; remove some"))
    }

    /// Reads every row once: sled can open over damaged media and fail, or panic, at a row.
    pub fn verify(&self) -> Result<(), ViewError> {
        let read_all = || -> Result<(), ViewError> {
            for item in self.0.scan(&[]) {
                let (key, value) = item?;
                if key.starts_with(rows::EXCEPTIONS) {
                    rows::unseal::<ExceptionRow>(&value)?;
                }
            }
            Ok(())
        };
        catch_unwind(AssertUnwindSafe(read_all)).unwrap_or(Err(ViewError::Panicked))
    }

    /// The ledger as far as the view knows it; `None` in an empty view.
    pub fn load_ledger(&self) -> Result<Option<Ledger>, ViewError> {
        let Some(meta) = self.0.get(rows::META)? else { return Ok(None) };
        let meta: Meta = rows::unseal(&meta)?;
        let mut ledger = Ledger {
            lsn: meta.lsn,
            next_seq: meta.next_seq,
            next_sub: meta.next_sub,
            spool: meta.spool,
            barrier: meta.barrier,
            ..Ledger::default()
        };
        for item in self.0.scan(rows::LANES) {
            let (key, value) = item?;
            let sub = key.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
            let sub = sub.ok_or_else(|| RowError("a lane's key is too short".into()))?;
            ledger.lanes.insert(SubId(sub), rows::unseal(&value)?);
        }
        let mut chunks = Vec::new();
        for item in self.0.scan(rows::CHUNKS) {
            let chunk: Chunk = rows::unseal(&item?.1)?;
            if !chunk.is_whole() {
                return Err(RowError(format!("chunk {} of the extents does not read back", chunk.number)).into());
            }
            chunks.push(chunk);
        }
        ledger.extents = Extents::of_chunks(chunks);
        for item in self.0.scan(rows::SOURCES) {
            let (key, value) = item?;
            ledger.sources.insert(String::from_utf8_lossy(&key[1..]).into_owned(), rows::unseal(&value)?);
        }
        Ok(Some(ledger))
    }

    /// Applies row changes. They may run ahead of the ledger rows: replaying the journal over them ends the same.
    pub fn apply(&self, changes: &[RowChange]) -> Result<(), ViewError> {
        let mut batch = Batch::default();
        for change in changes {
            let key = match change {
                RowChange::Put(key, _) | RowChange::Delete(key) => *key,
            };
            let row_key = rows::exception_key(key);
            if let Some(old) = self.0.get(&row_key)? {
                let old: ExceptionRow = rows::unseal(&old)?;
                rows::index_keys(key, &old).into_iter().for_each(|index| batch.remove(index));
            }
            match change {
                RowChange::Put(_, row) => {
                    let [due, id, pin] = rows::index_keys(key, row);
                    if row.status == ExceptionStatus::Parked {
                        batch.insert(due, []);
                    }
                    batch.insert(id, rows::seal(&key));
                    batch.insert(pin, []);
                    batch.insert(row_key, rows::seal(&**row));
                }
                RowChange::Delete(_) => batch.remove(row_key),
            }
            self.0.apply(std::mem::take(&mut batch))?;
        }
        Ok(())
    }

    /// Writes the ledger rows named by `dirty` and the meta row in one batch, and makes the view durable.
    pub fn store_ledger(&self, ledger: &Ledger, dirty: &Dirty) -> Result<(), ViewError> {
        let mut batch = Batch::default();
        for sub in &dirty.lanes {
            if let Some(lane) = ledger.lanes.get(sub) {
                batch.insert(rows::lane_key(*sub), rows::seal(lane));
            }
        }
        for number in &dirty.chunks {
            match ledger.extents.chunk(*number) {
                Some(chunk) => batch.insert(rows::chunk_key(*number), rows::seal(chunk)),
                None => batch.remove(rows::chunk_key(*number)),
            }
        }
        for source in &dirty.sources {
            match ledger.sources.get(source) {
                Some(cursor) => batch.insert(rows::source_key(source), rows::seal(cursor)),
                None => batch.remove(rows::source_key(source)),
            }
        }
        let meta = Meta {
            lsn: ledger.lsn,
            next_seq: ledger.next_seq,
            next_sub: ledger.next_sub,
            spool: ledger.spool,
            barrier: ledger.barrier,
        };
        batch.insert(rows::META, rows::seal(&meta));
        self.0.apply(batch)?;
        self.sync()
    }

    /// The row of one delivery.
    pub fn exception(&self, key: DeliveryKey) -> Result<Option<ExceptionRow>, ViewError> {
        Ok(self.0.get(&rows::exception_key(key))?.map(|value| rows::unseal(&value)).transpose()?)
    }

    /// The rows of one subscription, by sequence number.
    pub fn exceptions(
        &self,
        sub: SubId,
    ) -> impl Iterator<Item = Result<(DeliveryKey, ExceptionRow), ViewError>> + use<> {
        self.0.scan(&rows::exceptions_of(sub)).map(|item| {
            let (key, value) = item?;
            let key =
                rows::parse_exception_key(&key).ok_or_else(|| RowError("an exception key is malformed".into()))?;
            Ok((key, rows::unseal(&value)?))
        })
    }

    /// The delivery with this id, if it has a row.
    pub fn find(&self, delivery: &[u8; 16]) -> Result<Option<DeliveryKey>, ViewError> {
        Ok(self.0.get(&rows::id_key(delivery))?.map(|value| rows::unseal(&value)).transpose()?)
    }

    /// The parked deliveries of `sub`, soonest first, each with its due time.
    pub fn parked(&self, sub: SubId) -> impl Iterator<Item = Result<(DeliveryKey, Timestamp), ViewError>> + use<> {
        self.0.scan(&rows::dues_of(sub)).map(|item| {
            let (key, _) = item?;
            rows::parse_due_key(&key).ok_or_else(|| RowError("a due key is malformed".into()).into())
        })
    }

    /// Offsets of the lines of `segment` that rows still speak of, without repeats.
    pub fn pinned_offsets(&self, segment: SegmentId) -> Result<Vec<u64>, ViewError> {
        let mut offsets = Vec::new();
        for item in self.0.scan(&rows::pins_of(segment)) {
            offsets.extend(rows::parse_pin_offset(&item?.0));
        }
        offsets.dedup();
        Ok(offsets)
    }

    /// Every row as it is, for a checkpoint.
    pub(super) fn dump(&self) -> Pairs {
        self.0.scan(&[])
    }

    /// Puts dumped rows back. The meta row comes last, when the others are durable: a view without it counts as empty.
    pub(super) fn restore(&self, pairs: Vec<Pair>) -> Result<(), ViewError> {
        let (meta, others): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(key, _)| key == rows::META);
        for chunk in others.chunks(1000).chain([meta.as_slice()]) {
            let mut batch = Batch::default();
            chunk.iter().for_each(|(key, value)| batch.insert(key.as_slice(), value.as_slice()));
            if chunk.iter().any(|(key, _)| key == rows::META) {
                self.sync()?;
            }
            self.0.apply(batch)?;
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), ViewError> {
        self.0.sync()
    }
}

/// Which ledger rows changed since the view last got them.
#[derive(Debug, Default)]
pub struct Dirty {
    pub lanes: std::collections::BTreeSet<SubId>,
    /// Numbers of chunks of extents.
    pub chunks: std::collections::BTreeSet<u64>,
    pub sources: std::collections::BTreeSet<String>,
    /// Records since then.
    pub records: u64,
}
