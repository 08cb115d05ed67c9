//! Setting lines aside while reading: durable before the extent that passes them is, and once only, however often the
//! line is read.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{FIRST, HeldRecord, MAX_INLINE, Record, blob_name, file_name, records};
use crate::env::{AppendFile, Files, ReadFile};
use crate::ingest::error::IngestError;
use crate::ingest::framing::{BLOCK, read_range};
use crate::ingest::layout::ignore_missing;
use crate::model::{Rejection, SegmentId, Timestamp};

/// Files `.ballast-N` that hold room, given up when there is no other: how many, and bytes of each.
const BALLASTS: u32 = 32;
const BALLAST_BYTES: u64 = 8 << 10;
/// `.q` files kept open between ticks.
const MAX_OPEN: usize = 32;

/// A line to set aside: `[start, end)` of its segment, its LF included.
pub(in crate::ingest) struct Bad {
    pub(in crate::ingest) start: u64,
    pub(in crate::ingest) end: u64,
    pub(in crate::ingest) rejection: Rejection,
}

pub(in crate::ingest) struct QuarantineWriter {
    files: Arc<dyn Files>,
    dir: PathBuf,
    open: HashMap<SegmentId, Open>,
    is_dir_dirty: bool,
    /// Pieces of room that are held for the next records.
    ballast: u32,
}

struct Open {
    file: Box<dyn AppendFile>,
    /// Lines before this offset are on record already.
    done: u64,
    is_dirty: bool,
}

impl QuarantineWriter {
    pub(in crate::ingest) fn new(files: Arc<dyn Files>, dir: PathBuf) -> Self {
        let mut writer = Self { files, dir, open: HashMap::new(), is_dir_dirty: false, ballast: 0 };
        while writer.ballast < BALLASTS && writer.files.stat(&writer.ballast_path(writer.ballast)).is_ok() {
            writer.ballast += 1;
        }
        writer
    }

    /// Has the disk hold room for a few records, if `is_wanted`: a torn line on a full disk must not keep its segment from
    /// being finished, and removed.
    pub(in crate::ingest) fn hold_room(&mut self, is_wanted: bool) {
        while is_wanted && self.ballast < BALLASTS {
            let path = self.ballast_path(self.ballast);
            let is_there = match self.files.create(&path) {
                Ok(_) => true,
                Err(error) => error.kind() == ErrorKind::AlreadyExists,
            };
            if !is_there || self.files.hold_room(&path, BALLAST_BYTES).is_err() {
                return;
            }
            self.ballast += 1;
        }
    }

    fn ballast_path(&self, number: u32) -> PathBuf {
        self.dir.join(format!(".ballast-{number}"))
    }

    /// Writes a record for `bad`, a line of `segment` that `file` reads; durable only after `flush`. On an error
    /// nothing counts as written and the call may be repeated.
    pub(in crate::ingest) fn put(
        &mut self,
        bad: &Bad,
        segment: SegmentId,
        source: &str,
        file: &dyn ReadFile,
        now: Timestamp,
    ) -> Result<(), PutError> {
        loop {
            match self.try_put(bad, segment, source, file, now) {
                // Others may take what is given up here: piece by piece, so that they do not get all of it.
                Err(PutError::Write(error)) if error.kind() == ErrorKind::StorageFull && self.ballast > 0 => {
                    self.ballast -= 1;
                    ignore_missing(self.files.unlink(&self.ballast_path(self.ballast))).map_err(PutError::Write)?;
                }
                put => return put,
            }
        }
    }

    fn try_put(
        &mut self,
        bad: &Bad,
        segment: SegmentId,
        source: &str,
        file: &dyn ReadFile,
        now: Timestamp,
    ) -> Result<(), PutError> {
        if !self.open.contains_key(&segment) {
            let open = self.open_records(segment).map_err(PutError::Write)?;
            self.open.insert(segment, open);
        }
        if bad.start < self.open[&segment].done {
            return Ok(());
        }
        let written = self.write(bad, segment, source, file, now);
        if written.is_err() {
            // What is in the file now is not known: the next attempt reads it again.
            self.open.remove(&segment);
        }
        written
    }

    fn open_records(&mut self, segment: SegmentId) -> io::Result<Open> {
        let path = self.dir.join(file_name(segment));
        // What an earlier run could not make durable may be gone though it can still be read.
        let old = match self.files.forget_cached(&path).and_then(|()| self.files.read(&path)) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_dir_dirty = true;
                return Ok(Open { file: self.files.create(&path)?, done: 0, is_dirty: true });
            }
            Err(error) => return Err(error),
        };
        let done = records(&old).fold(0, |done, record| match record {
            Record::Held(held) => done.max(held.offset + held.len),
            Record::Mark { .. } => done,
        });
        let mut file = self.files.append_to(&path)?;
        if old.last().is_some_and(|&byte| byte != b'\n') {
            file.append(b"\n")?;
        }
        self.is_dir_dirty = true;
        Ok(Open { file, done, is_dirty: true })
    }

    fn write(
        &mut self,
        bad: &Bad,
        segment: SegmentId,
        source: &str,
        file: &dyn ReadFile,
        now: Timestamp,
    ) -> Result<(), PutError> {
        let len = bad.end - bad.start;
        let mut raw = Vec::new();
        read_range(file, bad.start, len.min(MAX_INLINE), &mut raw).map_err(PutError::Read)?;
        let first = STANDARD.encode(&raw[..raw.len().min(FIRST)]);
        let (raw_b64, blob) = if len <= MAX_INLINE {
            (Some(STANDARD.encode(&raw)), None)
        } else {
            self.write_blob(bad, segment, file)?;
            (None, Some(blob_name(segment, bad.start)))
        };
        let record = Record::Held(HeldRecord {
            id: format!("{segment}-{}", bad.start),
            src: source.to_owned(),
            segment: segment.to_string(),
            offset: bad.start,
            len,
            at: now.to_string(),
            reason: bad.rejection.reason.as_str().to_owned(),
            detail: bad.rejection.detail.clone(),
            first_256_b64: first,
            raw_b64,
            blob,
        });
        let mut line = serde_json::to_vec(&record).expect("a record of strings and numbers is JSON");
        line.push(b'\n');
        let open = self.open.get_mut(&segment).expect("opened by `put`");
        open.file.append(&line).map_err(PutError::Write)?;
        open.done = bad.end;
        open.is_dirty = true;
        Ok(())
    }

    fn write_blob(&mut self, bad: &Bad, segment: SegmentId, file: &dyn ReadFile) -> Result<(), PutError> {
        let path = self.dir.join(blob_name(segment, bad.start));
        ignore_missing(self.files.unlink(&path)).map_err(PutError::Write)?;
        let mut blob = self.files.create(&path).map_err(PutError::Write)?;
        let mut block = Vec::new();
        let mut at = bad.start;
        while at < bad.end {
            read_range(file, at, (bad.end - at).min(BLOCK as u64), &mut block).map_err(PutError::Read)?;
            if block.is_empty() {
                return Err(PutError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            blob.append(&block).map_err(PutError::Write)?;
            at += block.len() as u64;
        }
        blob.sync_data().map_err(|error| PutError::Fatal(IngestError::durability(&path)(error)))?;
        self.is_dir_dirty = true;
        Ok(())
    }

    /// Makes everything put so far durable.
    pub(in crate::ingest) fn flush(&mut self) -> Result<(), IngestError> {
        for (segment, open) in &mut self.open {
            if std::mem::take(&mut open.is_dirty) {
                let path = self.dir.join(file_name(*segment));
                open.file.sync_data().map_err(IngestError::durability(path))?;
            }
        }
        if std::mem::take(&mut self.is_dir_dirty) {
            self.files.sync_dir(&self.dir).map_err(IngestError::durability(&self.dir))?;
        }
        if self.open.len() > MAX_OPEN {
            self.open.clear();
        }
        Ok(())
    }
}

/// Why a line could not be set aside.
pub(in crate::ingest) enum PutError {
    /// The segment cannot be read now.
    Read(io::Error),
    /// The quarantine cannot be written now (disk full): reading must wait, nothing may be skipped.
    Write(io::Error),
    Fatal(IngestError),
}
