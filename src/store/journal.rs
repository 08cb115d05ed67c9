//! The journal's files: the truth about what was decided.
//!
//! ```text
//!   <state>/journal/00000000000000000001.journal     named by the first record number (lsn) in it
//!   | "spoolhook-jrnl1\n" | birth | frame | frame | ...      frames as in frame.rs, at most ~16 MiB a file
//!   birth: a frame with number 0; its payload, i64 of milliseconds, is when the state was made that the file belongs to
//! ```
//!
//! One commit is one write and one fdatasync. A failed write or sync is final: the handle refuses everything after it,
//! because the kernel may have dropped the pages while it reported the error once. For the same reason a start reads what the
//! disk holds, not what the kernel remembers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, Frame, Item};
use super::marks::Marks;
use super::record::{self, Record};
use crate::env::{AppendFile, Files};
use crate::model::Timestamp;

const FILE_HEADER: &[u8; 16] = b"spoolhook-jrnl1\n";
/// What journal files of every version begin with.
const FAMILY: &[u8] = b"spoolhook-jrnl";

/// The number of the frame that says which state a file belongs to; records begin with 1.
pub(super) const BIRTH: u64 = 0;

/// Bytes that should have been records and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub file: PathBuf,
    pub start: u64,
    pub end: u64,
}

/// Journal errors name the file.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the journal stopped after an earlier write error; restart the engine")]
    Stopped,
    #[error("{} is a journal file of another version; a newer spoolhook wrote it", .0.display())]
    Foreign(PathBuf),
    #[error("record {lsn} in {}: {source}", path.display())]
    Record { lsn: u64, path: PathBuf, source: record::DecodeError },
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { action, path: path.to_owned(), source }
}

/// The open journal.
pub struct Journal {
    files: Arc<dyn Files>,
    dir: PathBuf,
    current: Option<Current>,
    next_lsn: u64,
    born: Timestamp,
    file_bytes_max: u64,
    marks: Marks,
    stopped: bool,
    buffer: Vec<u8>,
    payload: Vec<u8>,
}

/// The file that commits are appended to.
struct Current {
    path: PathBuf,
    file: Box<dyn AppendFile>,
    len: u64,
}

fn file_name(first_lsn: u64) -> String {
    format!("{first_lsn:020}.journal")
}

/// When the file at `path` was last written.
pub(super) fn written(files: &dyn Files, path: &Path) -> Result<Timestamp, JournalError> {
    let written_ns = files.stat(path).map_err(io_error("look at", path))?.mtime_ns;
    Ok(Timestamp(i64::try_from(written_ns / 1_000_000).unwrap_or(i64::MAX)))
}

/// One name in the journal's directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Number of the first record in it.
    pub first_lsn: u64,
    pub path: PathBuf,
    pub len: u64,
}

/// The journal's files in `dir`, oldest first; none without the directory.
pub fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<Listed>> {
    let entries = match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| {
            let name = entry.name.to_str()?;
            let first_lsn = name.strip_suffix(".journal")?.parse().ok()?;
            Some(Listed { first_lsn, path: dir.join(name), len: entry.stat.len })
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The content of one journal file, ready to be walked.
pub struct JournalFile {
    pub path: PathBuf,
    bytes: Vec<u8>,
}

impl JournalFile {
    /// The file in `dir` that commits go to, if there is one. What was put aside there is none.
    pub fn newest(files: &dyn Files, dir: &Path) -> Option<PathBuf> {
        list(files, dir).ok()?.pop().map(|file| file.path)
    }

    /// Reads the file at `path`.
    pub fn read(files: &dyn Files, path: PathBuf) -> Result<Self, JournalError> {
        let bytes = files.read(&path).map_err(io_error("read", &path))?;
        let file = Self { path, bytes };
        let other_version = file.bytes.starts_with(FAMILY) && !file.has_header();
        // A damaged header is no other version: the frames behind it are ours.
        if other_version && file.bytes.len() >= FILE_HEADER.len() && file.frames().next().is_none() {
            return Err(JournalError::Foreign(file.path));
        }
        Ok(file)
    }

    /// Whether it begins as a journal file does.
    pub(super) fn has_header(&self) -> bool {
        self.bytes.starts_with(FILE_HEADER)
    }

    /// Whether all of it may be the beginning of a file that was never finished: part of a header, or zeros.
    pub(super) fn is_unwritten(&self) -> bool {
        FILE_HEADER.starts_with(&self.bytes) || self.bytes.iter().all(|byte| *byte == 0)
    }

    /// Frames and damage, with offsets behind the header.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        frame::scan(self.bytes.get(FILE_HEADER.len()..).unwrap_or_default())
    }

    fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.items().filter_map(|item| match item {
            Item::Frame(frame) => Some(frame),
            Item::Damage { .. } => None,
        })
    }

    /// When the state was made that this file belongs to.
    pub(super) fn born(&self) -> Option<Timestamp> {
        let frame = self.frames().next().filter(|frame| frame.lsn == BIRTH)?;
        Some(Timestamp(i64::from_le_bytes(frame.payload.try_into().ok()?)))
    }

    /// The bytes from an offset in the file on.
    pub(super) fn from(&self, offset: u64) -> &[u8] {
        usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default()
    }

    /// The offset in the file of an offset that [`items`](Self::items) reported.
    pub fn offset(&self, in_items: usize) -> u64 {
        (FILE_HEADER.len() + in_items) as u64
    }

    /// Decodes a frame of this file.
    pub fn decode(&self, frame: &Frame<'_>) -> Result<Record, JournalError> {
        record::decode(frame.payload).map_err(|source| JournalError::Record {
            lsn: frame.lsn,
            path: self.path.clone(),
            source,
        })
    }
}

/// Where an open journal goes on.
pub(super) struct Resume {
    /// The file that ends with the last record, and its length.
    pub current: Option<(PathBuf, u64)>,
    pub next_lsn: u64,
    /// When this state was made.
    pub born: Timestamp,
    pub marks: Marks,
}

impl Journal {
    /// Opens the journal in `dir` for writing.
    pub(super) fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        resume: Resume,
        file_bytes_max: u64,
    ) -> Result<Self, JournalError> {
        files.create_dirs(dir, 0o700).map_err(io_error("create", dir))?;
        // An engine that was killed may not have come to it.
        files.sync_dir(dir).map_err(io_error("sync", dir))?;
        let current = match resume.current {
            Some((path, len)) => {
                let mut file = files.append_to(&path).map_err(io_error("open", &path))?;
                // Its end may have been written by an engine that was killed before it could sync it.
                file.sync_data().map_err(io_error("sync", &path))?;
                Some(Current { path, file, len })
            }
            None => None,
        };
        Ok(Self {
            files,
            dir: dir.to_owned(),
            current,
            next_lsn: resume.next_lsn,
            born: resume.born,
            file_bytes_max,
            marks: resume.marks,
            stopped: false,
            buffer: vec![],
            payload: vec![],
        })
    }

    /// Writes `records` as one commit and makes it durable. Returns the number of the first.
    pub fn commit(&mut self, records: &[Record]) -> Result<u64, JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped);
        }
        let first = self.next_lsn;
        if records.is_empty() {
            return Ok(first);
        }
        let result = self.write(records);
        self.stopped = result.is_err();
        result.map(|()| first)
    }

    fn write(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.buffer.clear();
        for (index, record) in records.iter().enumerate() {
            self.payload.clear();
            record::encode(record, &mut self.payload);
            let commit = index + 1 == records.len();
            frame::encode(self.next_lsn + index as u64, commit, &self.payload, &mut self.buffer);
        }
        if self.current.as_ref().is_none_or(|current| current.len > self.file_bytes_max) {
            let next = self.start_file()?;
            if let Some(done) = self.current.replace(next) {
                // Room may have been held behind its end.
                self.files.truncate(&done.path, done.len).map_err(io_error("give back the room behind", &done.path))?;
            }
        }
        let current = self.current.as_mut().expect("a file was just opened");
        current.file.append(&self.buffer).map_err(io_error("append to", &current.path))?;
        current.file.sync_data().map_err(io_error("sync", &current.path))?;
        current.len += self.buffer.len() as u64;
        self.next_lsn += records.len() as u64;
        self.marks.note(&*self.files, self.next_lsn - 1);
        Ok(())
    }

    fn start_file(&mut self) -> Result<Current, JournalError> {
        let path = self.dir.join(file_name(self.next_lsn));
        let mut file = self.files.create(&path).map_err(io_error("create", &path))?;
        let mut head = FILE_HEADER.to_vec();
        frame::encode(BIRTH, false, &self.born.0.to_le_bytes(), &mut head);
        file.append(&head).map_err(io_error("write the header of", &path))?;
        self.files.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))?;
        self.marks.start_file();
        Ok(Current { path, file, len: head.len() as u64 })
    }

    /// Whether some file is older, or all together are larger, than history may be.
    pub fn is_over(&self, bytes_max: u64, before: Timestamp) -> Result<bool, JournalError> {
        let listed = list(&*self.files, &self.dir).map_err(io_error("list", &self.dir))?;
        let total: u64 = listed.iter().map(|file| file.len).sum();
        let mut old = false;
        if let [oldest, _, ..] = listed.as_slice() {
            old = written(&*self.files, &oldest.path)? < before;
        }
        Ok(listed.len() > 1 && (old || total > bytes_max))
    }

    /// Removes the oldest files while more than `bytes_max` are kept or they were last written before `before`, and
    /// everything in them is at or below `upto_lsn`. Returns the number of files removed.
    pub fn prune(&self, upto_lsn: u64, bytes_max: u64, before: Timestamp) -> Result<usize, JournalError> {
        let listed = list(&*self.files, &self.dir).map_err(io_error("list", &self.dir))?;
        let mut total: u64 = listed.iter().map(|file| file.len).sum();
        let mut removed = 0;
        for pair in listed.windows(2) {
            let Listed { path, len, .. } = &pair[0];
            let old = written(&*self.files, path)? < before;
            if !(old || total > bytes_max) || pair[1].first_lsn > upto_lsn + 1 {
                break;
            }
            self.files.unlink(path).map_err(io_error("remove", path))?;
            // One by one: a power cut must not bring an older file back and leave a gap behind it.
            self.files.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))?;
            total -= len;
            removed += 1;
        }
        Ok(removed)
    }
}
