//! The journal's files: the truth about what was decided.
//!
//! ```text
//!   <state>/journal/00000000000000000001.journal     named by the first record number (lsn) in it
//!   | "spoolhook-jrnl1\n" | frame | frame | ...      frames as in frame.rs, at most ~16 MiB a file
//! ```
//!
//! One commit is one write and one fdatasync. A failed write or sync is final: the handle refuses everything after it,
//! because the kernel may have dropped the pages while it reported the error once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, Item};
use super::record::{self, Record};
use crate::env::{AppendFile, Files};
use crate::model::Timestamp;

const FILE_HEADER: &[u8; 16] = b"spoolhook-jrnl1\n";
/// What journal files of every version begin with.
const FAMILY: &[u8] = b"spoolhook-jrnl";
const FILE_BYTES_MAX: u64 = 16 << 20;

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
    current: Option<(PathBuf, Box<dyn AppendFile>, u64)>,
    next_lsn: u64,
    stopped: bool,
    /// A file is closed when it has grown past this.
    pub(super) file_bytes_max: u64,
    buffer: Vec<u8>,
    payload: Vec<u8>,
}

/// What reading the journal found, besides the records.
#[derive(Debug, Default)]
pub struct ScanReport {
    pub damage: Vec<Damage>,
    /// Number of the last record of the last whole commit in the files that were read; 0 when there was none.
    pub last_lsn: u64,
    /// Records that are missing among those that were to be handed over.
    pub lost: u64,
}

fn file_name(first_lsn: u64) -> String {
    format!("{first_lsn:020}.journal")
}

/// The journal's files in `dir`, oldest first, with their first lsn.
pub fn list(files: &dyn Files, dir: &Path) -> io::Result<Vec<(u64, PathBuf, u64)>> {
    let mut found: Vec<_> = files
        .list(dir)?
        .into_iter()
        .filter_map(|entry| {
            let name = entry.name.to_str()?;
            let first = name.strip_suffix(".journal")?.parse().ok()?;
            Some((first, dir.join(name), entry.stat.len))
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
    /// Reads the file at `path`.
    pub fn read(files: &dyn Files, path: PathBuf) -> Result<Self, JournalError> {
        let bytes = files.read(&path).map_err(io_error("read", &path))?;
        let other_version = bytes.starts_with(FAMILY) && !bytes.starts_with(FILE_HEADER);
        if other_version && bytes.len() >= FILE_HEADER.len() {
            return Err(JournalError::Foreign(path));
        }
        Ok(Self { path, bytes })
    }

    /// Frames and damage, with offsets in the file.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        frame::scan(self.bytes.get(FILE_HEADER.len()..).unwrap_or_default())
    }

    /// The offset in the file of an offset that [`items`](Self::items) reported.
    pub fn offset(&self, in_items: usize) -> u64 {
        (FILE_HEADER.len() + in_items) as u64
    }

    /// Decodes a frame of this file.
    pub fn decode(&self, frame: &frame::Frame<'_>) -> Result<Record, JournalError> {
        record::decode(frame.payload).map_err(|source| JournalError::Record {
            lsn: frame.lsn,
            path: self.path.clone(),
            source,
        })
    }
}

impl Journal {
    /// Opens the journal in `dir` and hands every record after `after_lsn` to `each`, in order. An unfinished commit at
    /// the very end is cut off: nothing ever depended on it. Damage before that is stepped over and reported.
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        after_lsn: u64,
        mut each: impl FnMut(u64, Record),
    ) -> Result<(Self, ScanReport), JournalError> {
        files.create_dirs(dir, 0o700).map_err(io_error("create", dir))?;
        let listed = list(&*files, dir).map_err(io_error("list", dir))?;
        let mut report = ScanReport::default();
        let mut current = None;
        for (index, (first_lsn, path, len)) in listed.iter().enumerate() {
            let last = index + 1 == listed.len();
            let skippable = !last && listed[index + 1].0 <= after_lsn + 1;
            if skippable {
                continue;
            }
            report.last_lsn = report.last_lsn.max(first_lsn - 1);
            let file = JournalFile::read(&*files, path.clone())?;
            let end = replay_file(&file, after_lsn, last, &mut report, &mut each)?;
            if last {
                if end < *len {
                    files.truncate(path, end).map_err(io_error("cut the unfinished end of", path))?;
                }
                if end >= FILE_HEADER.len() as u64 {
                    let handle = files.append_to(path).map_err(io_error("open", path))?;
                    current = Some((path.clone(), handle, end));
                } else {
                    files.unlink(path).map_err(io_error("remove the empty", path))?;
                }
            }
        }
        let next_lsn = report.last_lsn.max(after_lsn) + 1;
        let journal = Self {
            files,
            dir: dir.to_owned(),
            current,
            next_lsn,
            stopped: false,
            file_bytes_max: FILE_BYTES_MAX,
            buffer: vec![],
            payload: vec![],
        };
        Ok((journal, report))
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
        if self.current.as_ref().is_none_or(|(_, _, len)| *len > self.file_bytes_max) {
            self.current = Some(self.start_file()?);
        }
        let (path, file, len) = self.current.as_mut().expect("a file was just opened");
        file.append(&self.buffer).map_err(io_error("append to", path))?;
        file.sync_data().map_err(io_error("sync", path))?;
        *len += self.buffer.len() as u64;
        self.next_lsn += records.len() as u64;
        Ok(())
    }

    fn start_file(&self) -> Result<(PathBuf, Box<dyn AppendFile>, u64), JournalError> {
        let path = self.dir.join(file_name(self.next_lsn));
        let mut file = self.files.create(&path).map_err(io_error("create", &path))?;
        file.append(FILE_HEADER).map_err(io_error("write the header of", &path))?;
        self.files.sync_dir(&self.dir).map_err(io_error("sync", &self.dir))?;
        Ok((path, file, FILE_HEADER.len() as u64))
    }

    /// Whether some file is older, or all together are larger, than history may be.
    pub fn is_over(&self, bytes_max: u64, before: Timestamp) -> Result<bool, JournalError> {
        let listed = list(&*self.files, &self.dir).map_err(io_error("list", &self.dir))?;
        let total: u64 = listed.iter().map(|file| file.2).sum();
        let mut old = false;
        if let [(_, oldest, _), _, ..] = listed.as_slice() {
            old = self.written(oldest)? < before;
        }
        Ok(listed.len() > 1 && (old || total > bytes_max))
    }

    fn written(&self, path: &Path) -> Result<Timestamp, JournalError> {
        let written_ns = self.files.stat(path).map_err(io_error("look at", path))?.mtime_ns;
        Ok(Timestamp(i64::try_from(written_ns / 1_000_000).unwrap_or(i64::MAX)))
    }

    /// Removes the oldest files while more than `bytes_max` are kept or they were last written before `before`, and
    /// everything in them is at or below `upto_lsn`. Returns the number of files removed.
    pub fn prune(&self, upto_lsn: u64, bytes_max: u64, before: Timestamp) -> Result<usize, JournalError> {
        let listed = list(&*self.files, &self.dir).map_err(io_error("list", &self.dir))?;
        let mut total: u64 = listed.iter().map(|file| file.2).sum();
        let mut removed = 0;
        for pair in listed.windows(2) {
            let (_, path, len) = &pair[0];
            let old = self.written(path)? < before;
            if !(old || total > bytes_max) || pair[1].0 > upto_lsn + 1 {
                break;
            }
            self.files.unlink(path).map_err(io_error("remove", path))?;
            total -= len;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Replays one file and returns the offset after its last whole commit.
fn replay_file(
    file: &JournalFile,
    after_lsn: u64,
    last: bool,
    report: &mut ScanReport,
    each: &mut impl FnMut(u64, Record),
) -> Result<u64, JournalError> {
    let mut committed_end = file.offset(0);
    let mut open_commit = Vec::new();
    let mut damage = Vec::new();
    if file.bytes.len() >= FILE_HEADER.len() && !file.bytes.starts_with(FILE_HEADER) {
        damage.push(Damage { file: file.path.clone(), start: 0, end: file.offset(0) });
    }
    for item in file.items() {
        match item {
            Item::Damage { start, end } => {
                damage.push(Damage { file: file.path.clone(), start: file.offset(start), end: file.offset(end) })
            }
            Item::Frame(frame) => {
                open_commit.push((frame.lsn, file.decode(&frame)?));
                if frame.commit {
                    committed_end = file.offset(frame.end());
                    for (lsn, record) in open_commit.drain(..) {
                        let expected = report.last_lsn.max(after_lsn) + 1;
                        report.lost += lsn.saturating_sub(expected);
                        report.last_lsn = report.last_lsn.max(lsn);
                        if lsn > after_lsn {
                            each(lsn, record);
                        }
                    }
                }
            }
        }
    }
    if last {
        damage.retain(|damage| damage.start < committed_end);
    }
    report.damage.extend(damage);
    Ok(if file.bytes.len() < FILE_HEADER.len() { 0 } else { committed_end })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    fn record(at: i64) -> Record {
        Record::Started { at: Timestamp(at), barrier: None }
    }

    fn open(dir: &Path, after: u64) -> (Journal, ScanReport, Vec<(u64, Record)>) {
        let mut seen = Vec::new();
        let (journal, report) =
            Journal::open(Arc::new(OsFiles), dir, after, |lsn, record| seen.push((lsn, record))).unwrap();
        (journal, report, seen)
    }

    #[test]
    fn commits_are_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, ..) = open(dir.path(), 0);
        assert_eq!(journal.commit(&[record(1), record(2)]).unwrap(), 1);
        assert_eq!(journal.commit(&[record(3)]).unwrap(), 3);
        let (journal, report, seen) = open(dir.path(), 1);
        assert_eq!(seen, [(2, record(2)), (3, record(3))]);
        assert_eq!((report.last_lsn, journal.next_lsn), (3, 4));
        assert_eq!(report.damage, []);
    }

    #[test]
    fn an_unfinished_commit_never_happened_wherever_it_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, ..) = open(dir.path(), 0);
        journal.commit(&[record(1)]).unwrap();
        let path = dir.path().join(file_name(1));
        let whole = std::fs::read(&path).unwrap().len();
        journal.commit(&[record(2), record(3)]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in whole..bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (mut journal, report, seen) = open(dir.path(), 0);
            assert_eq!(seen, [(1, record(1))], "cut at {cut}");
            assert_eq!(report.damage, [], "cut at {cut}");
            journal.commit(&[record(9)]).unwrap();
            assert_eq!(open(dir.path(), 0).2, [(1, record(1)), (2, record(9))], "cut at {cut}");
        }
    }

    #[test]
    fn damage_in_the_middle_costs_one_record_and_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, ..) = open(dir.path(), 0);
        for at in 1..=3 {
            journal.commit(&[record(at)]).unwrap();
        }
        let path = dir.path().join(file_name(1));
        let mut bytes = std::fs::read(&path).unwrap();
        let frame = (bytes.len() - 16) / 3;
        bytes[16 + frame + 25] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        let (_, report, seen) = open(dir.path(), 0);
        assert_eq!(seen, [(1, record(1)), (3, record(3))]);
        assert_eq!(report.damage.len(), 1);
    }
}
