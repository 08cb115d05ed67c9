//! How far the journal was known to be durable, kept beside it: what tells a journal that was cut short, or put back from an
//! older copy, from one that simply ends.
//!
//! ```text
//!   <state>/marks/00000000000000000042          named by the first record number noted in it
//!   | lsn u64 | crc u32 | lsn u64 | crc u32 ...  little-endian; crc = CRC-32 (IEEE) over the lsn; the greatest counts
//! ```
//!
//! A mark is written after the sync it speaks of and is never synced itself: it outlives a kill, and after a power cut it
//! may lag. It is evidence and no more: a mark that cannot be written is not written.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::{AppendFile, Files};

const MARK_BYTES: usize = 12;

/// The marks of one journal.
pub(super) struct Marks {
    dir: PathBuf,
    file: Option<Box<dyn AppendFile>>,
    /// Files that the next mark makes superfluous.
    older: Vec<PathBuf>,
    given_up: bool,
}

fn names(files: &dyn Files, dir: &Path) -> Vec<PathBuf> {
    let entries = files.list(dir).unwrap_or_default();
    entries.into_iter().map(|entry| dir.join(entry.name)).collect()
}

fn mark(lsn: u64) -> [u8; MARK_BYTES] {
    let mut bytes = [0; MARK_BYTES];
    bytes[..8].copy_from_slice(&lsn.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn greatest(bytes: &[u8]) -> u64 {
    let lsn = |chunk: &[u8]| {
        let lsn = u64::from_le_bytes(chunk[..8].try_into().expect("eight bytes"));
        (mark(lsn) == *chunk).then_some(lsn)
    };
    bytes.chunks_exact(MARK_BYTES).filter_map(lsn).max().unwrap_or(0)
}

impl Marks {
    /// The marks in `dir`, and the greatest record number that any of them vouches for; 0 without one.
    pub(super) fn open(files: &dyn Files, dir: &Path) -> (Self, u64) {
        let older = names(files, dir);
        let known = older.iter().filter_map(|path| files.read(path).ok()).map(|bytes| greatest(&bytes)).max();
        (Self { dir: dir.to_owned(), file: None, older, given_up: false }, known.unwrap_or(0))
    }

    /// Forgets all marks: the journal is about to go on from below them.
    pub(super) fn clear(&mut self, files: &dyn Files) -> io::Result<()> {
        if self.older.is_empty() {
            return Ok(());
        }
        self.older.drain(..).try_for_each(|path| files.unlink(&path))?;
        files.sync_dir(&self.dir)
    }

    /// The next mark begins a new file.
    pub(super) fn start_file(&mut self) {
        self.file = None;
    }

    /// Notes that everything up to record `lsn` is durable.
    pub(super) fn note(&mut self, files: &dyn Files, lsn: u64) {
        if !self.given_up {
            self.given_up = self.append(files, lsn).is_err();
        }
    }

    fn append(&mut self, files: &dyn Files, lsn: u64) -> io::Result<()> {
        let bytes = mark(lsn);
        if let Some(file) = &mut self.file {
            return file.append(&bytes);
        }
        files.create_dirs(&self.dir, 0o700)?;
        let path = self.dir.join(format!("{lsn:020}"));
        if let Err(error) = files.unlink(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = files.create(&path)?;
        file.append(&bytes)?;
        self.file = Some(file);
        for old in std::mem::replace(&mut self.older, vec![path.clone()]) {
            if old != path {
                files.unlink(&old)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn the_greatest_whole_mark_counts_and_old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let (mut marks, known) = Marks::open(&OsFiles, &dir.path().join("marks"));
        assert_eq!(known, 0);
        marks.note(&OsFiles, 7);
        marks.note(&OsFiles, 9);
        marks.start_file();
        marks.note(&OsFiles, 12);
        let (mut marks, known) = Marks::open(&OsFiles, &dir.path().join("marks"));
        assert_eq!((known, marks.older.len()), (12, 1));
        let path = marks.older[0].clone();
        std::fs::write(&path, [&mark(12)[..], &mark(13)[..], &[0xFF; 17]].concat()).unwrap();
        assert_eq!(Marks::open(&OsFiles, &dir.path().join("marks")).1, 13);
        marks.clear(&OsFiles).unwrap();
        assert_eq!(Marks::open(&OsFiles, &dir.path().join("marks")).1, 0);
    }
}
