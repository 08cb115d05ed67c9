//! After a restart: how far a log was really copied.
//!
//! The copy runs ahead of the journal, so a segment may hold lines that no extent covers and no cursor knows. They are
//! good (copied whole and synced) unless the power went first, and the file they came from may be gone by now; so they
//! are kept, and copying goes on behind them, if the file still says the same.

use std::io;
use std::path::PathBuf;

use crate::env::{FileKind, Files, ReadFile};
use crate::ingest::framing::{BLOCK, read_range};

use super::cursor::{LogCursor, PRINT_LEN, Print};
use super::source::LogSource;

/// A segment found in `claimed/` that copies file `ino` of a log from byte `base` on; its first `consumed` bytes are
/// in the journal.
pub(in crate::ingest) struct OrphanSegment {
    pub(in crate::ingest) path: PathBuf,
    pub(in crate::ingest) ino: u64,
    pub(in crate::ingest) base: u64,
    pub(in crate::ingest) consumed: u64,
}

/// Makes the last segment of a file end with a whole line and sets the cursor of the file behind it.
pub(in crate::ingest) fn recover(source: &mut LogSource, segment: &OrphanSegment, files: &dyn Files) -> io::Result<()> {
    let copy = files.open(&segment.path)?;
    let len = copy.stat()?.len;
    // What the journal's cursor vouches for was durable before the cursor was; behind it may be a torn write.
    let vouched = source.parked(segment.ino).map_or(0, |known| known.offset.saturating_sub(segment.base));
    let safe = segment.consumed.max(vouched).min(len);
    let whole = end_of_lines(copy.as_ref(), safe, len)?;
    let original = match files.list(&source.settings.dir) {
        Ok(entries) => entries
            .into_iter()
            .find(|entry| entry.stat.ino == segment.ino && entry.stat.kind == FileKind::Regular)
            .and_then(|entry| Some((files.open(&source.settings.dir.join(&entry.name)).ok()?, entry))),
        Err(_) => None,
    };
    let mut end = whole;
    if let Some((original, entry)) = original {
        let from = segment.consumed.saturating_sub(PRINT_LEN);
        if same_bytes(copy.as_ref(), original.as_ref(), segment.base, from, whole)? {
            let offset = segment.base + whole;
            let is_further = source.parked(segment.ino).is_none_or(|known| known.offset < offset);
            if is_further && starts_alike(source, segment, original.as_ref())? {
                copy.sync_data()?;
                source.recover(LogCursor {
                    log: source.settings.name.clone(),
                    name: source
                        .parked(segment.ino)
                        .map_or_else(|| entry.name.as_encoded_bytes().to_vec(), |known| known.name.clone()),
                    dev: entry.stat.dev,
                    ino: entry.stat.ino,
                    offset,
                    guard: Print::before(original.as_ref(), offset)?,
                    head: Print::read(original.as_ref(), 0, offset.min(PRINT_LEN))?,
                    finished: false,
                });
            }
        } else {
            end = safe;
        }
    }
    if end < len {
        files.truncate(&segment.path, end)?;
    }
    Ok(())
}

/// Whether the file before the segment's part is still the one the cursor knows.
fn starts_alike(source: &LogSource, segment: &OrphanSegment, original: &dyn ReadFile) -> io::Result<bool> {
    match source.parked(segment.ino) {
        Some(known) => known.fits(original),
        None => Ok(true),
    }
}

/// The offset after the last LF at or behind `from`; `from` when there is none.
fn end_of_lines(file: &dyn ReadFile, from: u64, len: u64) -> io::Result<u64> {
    let mut block = Vec::new();
    let mut end = len;
    while end > from {
        let start = end.saturating_sub(BLOCK as u64).max(from);
        read_range(file, start, end - start, &mut block)?;
        if let Some(last) = memchr::memrchr(b'\n', &block) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(from.min(len))
}

/// Whether `copy[from..to)` equals `original[base + from..base + to)`.
fn same_bytes(copy: &dyn ReadFile, original: &dyn ReadFile, base: u64, from: u64, to: u64) -> io::Result<bool> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut at = from;
    while at < to {
        let len = (to - at).min(BLOCK as u64);
        read_range(copy, at, len, &mut ours)?;
        read_range(original, base + at, len, &mut theirs)?;
        if ours != theirs || ours.is_empty() {
            return Ok(false);
        }
        at += len;
    }
    Ok(true)
}
