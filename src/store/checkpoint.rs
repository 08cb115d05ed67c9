//! A logical copy of the view in one file, so that losing sled costs a replay of the journal since then and no more.
//!
//! ```text
//!   <state>/checkpoint/00000000000000004711.ckpt      named by the last record number it reflects
//!   frames as in frame.rs; payload = | key length u16 | key | value |; the last frame carries the commit flag, and the
//!   number of the others as u64
//! ```
//!
//! Written under another name, synced, renamed; the two newest are kept.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::{self, Item};
use super::rows::{self, Tally};
use super::tree::Pair;
use super::view::{View, ViewError};
use crate::env::Files;
use crate::model::Timestamp;

const KEPT: usize = 2;

/// Writing or reading a checkpoint failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{action} the checkpoint {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    View(#[from] ViewError),
}

/// The checkpoints in `dir` by the record number they reflect, oldest first; none without the directory.
pub(super) fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| {
            let name = entry.name.to_str()?;
            Some((name.strip_suffix(".ckpt")?.parse().ok()?, dir.join(name)))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Writes the view as it is, which reflects the journal up to `lsn`. Returns the number of rows.
pub(super) fn write(files: &dyn Files, dir: &Path, view: &View, lsn: u64) -> Result<usize, CheckpointError> {
    let path = dir.join(format!("{lsn:020}.ckpt"));
    let temporary = dir.join("next.tmp");
    let io_error = |action| {
        let path = path.clone();
        move |source| CheckpointError::Io { action, path, source }
    };
    files.create_dirs(dir, 0o700).map_err(io_error("make room for"))?;
    match files.unlink(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("write")(error)),
        _ => {}
    }
    let mut file = files.create(&temporary).map_err(io_error("write"))?;
    let mut buffer = Vec::new();
    let mut rows = 0;
    let mut payload = Vec::new();
    for pair in view.dump() {
        let (key, value) = pair?;
        payload.clear();
        payload.extend_from_slice(&u16::try_from(key.len()).expect("our keys are short").to_le_bytes());
        payload.extend_from_slice(&key);
        payload.extend_from_slice(&value);
        frame::encode(lsn, false, &payload, &mut buffer);
        rows += 1;
        if buffer.len() > 1 << 20 {
            file.append(&buffer).map_err(io_error("write"))?;
            buffer.clear();
        }
    }
    frame::encode(lsn, true, &(rows as u64).to_le_bytes(), &mut buffer);
    file.append(&buffer).map_err(io_error("write"))?;
    file.sync_data().map_err(io_error("sync"))?;
    files.rename(&temporary, &path).map_err(io_error("publish"))?;
    files.sync_dir(dir).map_err(io_error("publish"))?;
    let listed = list(files, dir).map_err(io_error("list"))?;
    for (_, old) in listed.iter().rev().skip(KEPT) {
        files.unlink(old).map_err(io_error("remove an older copy of"))?;
    }
    Ok(rows)
}

/// The record number that the newest checkpoint reflects; 0 without one.
pub(super) fn newest_lsn(files: &dyn Files, dir: &Path) -> u64 {
    list(files, dir).ok().and_then(|listed| listed.last().map(|(lsn, _)| *lsn)).unwrap_or(0)
}

/// The record number that the oldest checkpoint reflects: what the journal holds behind it may be needed. 0 without one.
pub(super) fn oldest_lsn(files: &dyn Files, dir: &Path) -> u64 {
    list(files, dir).ok().and_then(|listed| listed.first().map(|(lsn, _)| *lsn)).unwrap_or(0)
}

/// A checkpoint that is whole.
pub(super) struct Checkpoint {
    /// The record number that it reflects.
    pub lsn: u64,
    pub path: PathBuf,
    pub pairs: Vec<Pair>,
}

impl Checkpoint {
    /// When the state was made that it belongs to.
    pub(super) fn born(&self) -> Option<Timestamp> {
        let (_, tally) = self.pairs.iter().find(|(key, _)| key == rows::TALLY)?;
        rows::unseal::<Tally>(tally).ok().map(|tally| tally.born)
    }
}

fn parse(bytes: &[u8], lsn: u64) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    for item in frame::scan(bytes) {
        let Item::Frame(frame) = item else { return None };
        if frame.lsn != lsn {
            return None;
        }
        if frame.commit {
            return (frame.payload == (pairs.len() as u64).to_le_bytes()).then_some(pairs);
        }
        let (len, rest) = frame.payload.split_at_checked(2)?;
        let len = usize::from(u16::from_le_bytes(len.try_into().ok()?));
        let (key, value) = rest.split_at_checked(len)?;
        pairs.push((key.to_vec(), value.to_vec()));
    }
    None
}

/// Reads the checkpoint at `path`; `None` when it is not whole.
pub(super) fn read(files: &dyn Files, lsn: u64, path: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    let bytes =
        files.read(path).map_err(|source| CheckpointError::Io { action: "read", path: path.to_owned(), source })?;
    Ok(parse(&bytes, lsn).map(|pairs| Checkpoint { lsn, path: path.to_owned(), pairs }))
}
