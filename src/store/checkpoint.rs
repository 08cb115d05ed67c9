//! A logical copy of the view in one file, so that losing sled costs a replay of the journal since then and no more.
//!
//! ```text
//!   <state>/checkpoint/00000000000000004711.ckpt      named by the last record number it reflects
//!   frames as in frame.rs; payload = | key length u16 | key | value |; the last frame carries the commit flag
//! ```
//!
//! Written under another name, synced, renamed; the two newest are kept.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::{self, Item};
use super::view::{View, ViewError};
use crate::env::Files;

const KEPT: usize = 2;

/// Writing or reading a checkpoint failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{action} the checkpoint {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    View(#[from] ViewError),
}

fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found: Vec<_> = files
        .list(dir)?
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
    frame::encode(lsn, true, &[], &mut buffer);
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

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn parse(bytes: &[u8]) -> Option<Pairs> {
    let mut pairs = Vec::new();
    for item in frame::scan(bytes) {
        let Item::Frame(frame) = item else { return None };
        if frame.commit {
            return Some(pairs);
        }
        let (len, rest) = frame.payload.split_at_checked(2)?;
        let len = usize::from(u16::from_le_bytes(len.try_into().ok()?));
        let (key, value) = rest.split_at_checked(len)?;
        pairs.push((key.to_vec(), value.to_vec()));
    }
    None
}

/// The newest checkpoint that is whole, with the record number it reflects.
pub(super) fn read_newest(files: &dyn Files, dir: &Path) -> Result<Option<(u64, Pairs)>, CheckpointError> {
    let listed = match list(files, dir) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CheckpointError::Io { action: "list", path: dir.to_owned(), source }),
    };
    for (lsn, path) in listed.into_iter().rev() {
        match files.read(&path) {
            Ok(bytes) => {
                if let Some(pairs) = parse(&bytes) {
                    return Ok(Some((lsn, pairs)));
                }
                tracing::warn!(path = %path.display(), "this checkpoint is damaged; an older one is tried");
            }
            Err(source) => return Err(CheckpointError::Io { action: "read", path, source }),
        }
    }
    Ok(None)
}
