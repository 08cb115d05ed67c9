//! The disk behind the engine's seam, and a clock whose wall can be set.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::disk::Disk;
use crate::env::{AppendFile, Clock, DirEntry, Files, ReadFile, Stat, Writers};
use crate::model::Timestamp;

/// A user of the disk: the engine, which may die at each operation, or a producer.
#[derive(Clone)]
pub struct SimFiles {
    pub disk: Arc<Disk>,
    pub engine: bool,
}

struct Handle {
    files: SimFiles,
    path: PathBuf,
    index: usize,
    writes: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.writes {
            self.files.disk.close_writer(self.index);
        }
    }
}

impl ReadFile for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.files.disk.read_at(self.index, &self.path, buffer, offset, self.files.engine)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(self.files.disk.stat_inode(self.index))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.files.disk.sync_data(self.index, &self.path, self.files.engine)
    }

    fn writers(&self) -> Writers {
        if self.files.disk.has_writers(self.index) { Writers::Some } else { Writers::None }
    }
}

impl AppendFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.disk.append(self.index, &self.path, bytes, self.files.engine)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.files.disk.sync_data(self.index, &self.path, self.files.engine)
    }
}

impl SimFiles {
    fn handle(&self, path: &Path, index: usize, writes: bool) -> Box<Handle> {
        Box::new(Handle { files: self.clone(), path: path.to_owned(), index, writes })
    }
}

impl Files for SimFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir, self.engine)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.disk.stat(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let index = self.disk.open(path, self.engine)?;
        Ok(self.handle(path, index, false))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let index = self.disk.create(path, self.engine)?;
        Ok(self.handle(path, index, true))
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let index = self.disk.open_for_writing(path, self.engine)?;
        Ok(self.handle(path, index, true))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.disk.truncate(path, len)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path, self.engine)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to, false, self.engine)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to, true, self.engine)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.disk.unlink(path, self.engine)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir, self.engine)
    }

    fn create_dirs(&self, dir: &Path, _mode: u32) -> io::Result<()> {
        self.disk.create_dirs(dir);
        Ok(())
    }

    fn forget_cached(&self, path: &Path) -> io::Result<()> {
        let index = self.disk.open(path, self.engine)?;
        self.disk.sync_data(index, path, self.engine)?;
        self.disk.forget_cached(index);
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.disk.room().unwrap_or(1 << 40))
    }
}

/// A wall clock that can be set, beside a monotonic one that cannot.
pub struct SimClock {
    wall_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl SimClock {
    pub fn at(start: Timestamp) -> Self {
        Self { wall_ms: AtomicI64::new(start.0), monotonic_ms: AtomicU64::new(0) }
    }

    pub fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.monotonic_ms.fetch_add(ms, Ordering::Relaxed);
        self.wall_ms.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub fn step_wall(&self, by_ms: i64) {
        self.wall_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::Relaxed))
    }
}
