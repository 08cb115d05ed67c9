//! The view: sled, opened with care, one tree, small values.
//!
//! sled 0.34 is not trusted with anything that cannot be rebuilt: its `flush` is no fsync, and a kill while it opens can
//! leave a half-written snapshot that makes it refuse for ever. So half-written snapshots are removed before opening,
//! a panic while opening is caught, a view that will not open is moved aside, and the ledger rows become durable only
//! through our own fdatasync of its file.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chunk::Chunk;
use super::extents::Extents;
use super::ledger::{Ledger, RowChange};
use super::record::{DeliveryFacts, DeliveryKey, ExceptionRow, ExceptionStatus};
use super::rows::{self, Meta, RowError, Tally};
use super::tree::{Batch, Pair, Pairs, Tree, Trees, catch};
use crate::env::Files;
use crate::model::{OrderKey, SegmentId, Seq, SubId, Timestamp};

/// The view does not work. The state is not lost: it is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error("the view (sled) does not open at {}: {reason}", path.display())]
    Open { path: PathBuf, reason: String },
    #[error("it lacks rows: {0}")]
    Incomplete(String),
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

/// Changed rows that go in one batch: a few hundred keys, and some 100 KiB.
const BATCH_ROWS: usize = 128;

/// Rows that are kept in order: by what, which (event and replay), and what about.
pub type Ordered = Vec<(OrderKey, (Seq, u32), DeliveryFacts)>;

/// The open view. Clones share one tree.
#[derive(Clone)]
pub struct View(Arc<dyn Tree>);

impl View {
    /// Opens the view in `path`, or says why not. Nothing is removed but half-written snapshots.
    pub fn open(trees: &dyn Trees, files: &dyn Files, path: &Path) -> Result<Self, ViewError> {
        Ok(Self(trees.open(files, path)?))
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
        catch(read_all).unwrap_or_else(|_| Err(ViewError::Panicked))
    }

    /// How far its rows of deliveries reach: they may run ahead of the ledger.
    pub(super) fn rows_lsn(&self) -> Result<u64, ViewError> {
        Ok(self.0.get(rows::REACH)?.map(|value| rows::unseal(&value)).transpose()?.unwrap_or(0))
    }

    fn tally(&self) -> Result<Option<Tally>, ViewError> {
        Ok(self.0.get(rows::TALLY)?.map(|value| rows::unseal(&value)).transpose()?)
    }

    /// When the state was made that it belongs to.
    pub(super) fn born(&self) -> Result<Option<Timestamp>, ViewError> {
        Ok(self.tally()?.map(|tally| tally.born))
    }

    /// Whether the rows of deliveries are those that the ledger counts, with all that leads to them.
    pub(super) fn check(&self, ledger: &Ledger) -> Result<(), ViewError> {
        let mut all = 0;
        let mut parked = 0;
        for (sub, lane) in &ledger.lanes {
            let mut counts = [0; 3];
            for row in self.exceptions(*sub) {
                all += 1;
                match row?.1.status {
                    ExceptionStatus::Parked => counts[0] += 1,
                    ExceptionStatus::Failed => counts[1] += 1,
                    ExceptionStatus::Unknown => counts[2] += 1,
                    ExceptionStatus::Delivered => {}
                }
            }
            parked += counts[0];
            let expected = [
                lane.parked,
                lane.books.failed.saturating_sub(lane.forgotten.failed),
                lane.books.unknown.saturating_sub(lane.forgotten.unknown),
            ];
            if counts != expected {
                let reason =
                    format!("{counts:?} parked, failed and unknown deliveries of \"{}\", not {expected:?}", lane.name);
                return Err(ViewError::Incomplete(reason));
            }
        }
        let mut found = [0; 3];
        for (count, prefix) in found.iter_mut().zip([rows::DUES, rows::IDS, rows::PINS]) {
            for item in self.0.scan(prefix) {
                item?;
                *count += 1;
            }
        }
        // A line that was taken in twice has two rows under one id.
        let [dues, ids, pins] = found;
        if (dues, pins) != (parked, all) || ids > all || (ids == 0) != (all == 0) {
            return Err(ViewError::Incomplete(format!("{found:?} keys lead to {parked} parked and {all} rows")));
        }
        Ok(())
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
            scheduled: meta.scheduled,
            last_replay: meta.last_replay,
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
        if let Some(tally) = self.tally()? {
            let found = Tally::of(&ledger, tally.born);
            if found != tally {
                return Err(ViewError::Incomplete(format!("{found:?}, not {tally:?}")));
            }
        }
        Ok(Some(ledger))
    }

    /// Applies the row changes of records up to `lsn`. They may run ahead of the ledger rows: replaying the journal over
    /// them ends the same. Many go in one batch: sled writes to its file with each.
    pub fn apply(&self, changes: &[RowChange], lsn: u64) -> Result<(), ViewError> {
        let mut batch = Batch::default();
        batch.insert(rows::REACH, rows::seal(&lsn));
        for changes in changes.chunks(BATCH_ROWS) {
            // What the tree does not show yet.
            let mut changed: HashMap<DeliveryKey, Option<&ExceptionRow>> = HashMap::new();
            for change in changes {
                let (key, row) = match change {
                    RowChange::Put(key, row) => (*key, Some(&**row)),
                    RowChange::Delete(key) => (*key, None),
                };
                let old = match changed.insert(key, row) {
                    Some(old) => old.map(|old| rows::index_keys(key, old)),
                    None => self.exception(key)?.map(|old| rows::index_keys(key, &old)),
                };
                old.into_iter().flatten().for_each(|index| batch.remove(index));
                let row_key = rows::exception_key(key);
                let Some(row) = row else {
                    batch.remove(row_key);
                    continue;
                };
                let [due, id, pin] = rows::index_keys(key, row);
                if row.status == ExceptionStatus::Parked {
                    batch.insert(due, []);
                }
                batch.insert(id, rows::seal(&key));
                batch.insert(pin, []);
                batch.insert(row_key, rows::seal(row));
            }
            self.0.apply(std::mem::take(&mut batch))?;
        }
        Ok(())
    }

    /// Writes the ledger rows named by `dirty` and the meta row in one batch, and makes the view durable.
    pub fn store_ledger(&self, ledger: &Ledger, dirty: &Dirty, born: Timestamp) -> Result<(), ViewError> {
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
            barrier: ledger.barrier.clone(),
            scheduled: ledger.scheduled,
            last_replay: ledger.last_replay,
        };
        // The rows of everything up to here are in place: they may have spoken of records that are gone.
        batch.insert(rows::REACH, rows::seal(&ledger.lsn));
        batch.insert(rows::META, rows::seal(&meta));
        batch.insert(rows::TALLY, rows::seal(&Tally::of(ledger, born)));
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
        self.0.scan(&rows::exceptions_of(sub)).map(exception)
    }

    /// Those of them from the event `from` on.
    pub fn exceptions_from(
        &self,
        sub: SubId,
        from: Seq,
    ) -> impl Iterator<Item = Result<(DeliveryKey, ExceptionRow), ViewError>> + use<> {
        let first = rows::exception_key(DeliveryKey { sub, seq: from, replay: 0 });
        self.0.scan_from(&rows::exceptions_of(sub), &first).map(exception)
    }

    /// The parked rows of `sub` that are kept in order.
    pub fn ordered(&self, sub: SubId) -> Result<Ordered, ViewError> {
        let mut found = Vec::new();
        for row in self.exceptions(sub) {
            let (key, row) = row?;
            if let (ExceptionStatus::Parked, Some(order)) = (row.status, row.facts.order) {
                found.push((order, (key.seq, key.replay), row.facts));
            }
        }
        Ok(found)
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

    /// Removes every row.
    pub(super) fn clear(&self) -> Result<(), ViewError> {
        let mut batch = Batch::default();
        for item in self.0.scan(&[]) {
            batch.remove(item?.0);
        }
        if batch.0.is_empty() { Ok(()) } else { self.0.apply(batch) }
    }

    /// Every delivery that has a row, with its row.
    pub(super) fn all_exceptions(
        &self,
    ) -> impl Iterator<Item = Result<(DeliveryKey, ExceptionRow), ViewError>> + use<> {
        self.0.scan(rows::EXCEPTIONS).map(exception)
    }

    /// The segments that rows speak of.
    pub fn pinned_segments(&self) -> Result<BTreeSet<SegmentId>, ViewError> {
        let mut segments = BTreeSet::new();
        for item in self.0.scan(rows::PINS) {
            segments.extend(rows::parse_pin_segment(&item?.0));
        }
        Ok(segments)
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

fn exception(item: Result<Pair, ViewError>) -> Result<(DeliveryKey, ExceptionRow), ViewError> {
    let (key, value) = item?;
    let key = rows::parse_exception_key(&key).ok_or_else(|| RowError("an exception key is malformed".into()))?;
    Ok((key, rows::unseal(&value)?))
}

impl Tally {
    fn of(ledger: &Ledger, born: Timestamp) -> Self {
        let [lanes, chunks, sources] = [ledger.lanes.len(), ledger.extents.chunk_count(), ledger.sources.len()];
        Self { born, lanes: lanes as u64, chunks: chunks as u64, sources: sources as u64 }
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

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
