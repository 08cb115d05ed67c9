//! A file system that fails on demand, for tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{AppendFile, DirEntry, Files, OsFiles, ReadFile, Stat, Writers};

/// Which calls fail now, by name and by a part of the path.
#[derive(Default)]
pub struct Faults {
    failing: Mutex<Option<(&'static str, &'static str)>>,
}

impl Faults {
    /// From now on `call` fails where the path has this part; `None`: nothing does.
    pub fn set(&self, fault: Option<(&'static str, &'static str)>) {
        *self.failing.lock().unwrap() = fault;
    }

    fn check(&self, call: &str, path: &Path) -> io::Result<()> {
        match *self.failing.lock().unwrap() {
            Some((failing, part)) if failing == call && path.to_string_lossy().contains(part) => {
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            _ => Ok(()),
        }
    }
}

/// The real file system, but for the calls that fail.
pub struct Faulty {
    faults: Arc<Faults>,
    files: OsFiles,
}

struct FaultyFile<F: ?Sized> {
    faults: Arc<Faults>,
    path: PathBuf,
    file: Box<F>,
}

impl ReadFile for FaultyFile<dyn ReadFile> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.check("read_at", &self.path)?;
        let short = buffer.len().min(7);
        self.file.read_at(&mut buffer[..short], offset)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.check("sync_data", &self.path)?;
        self.file.sync_data()
    }

    fn writers(&self) -> Writers {
        self.file.writers()
    }
}

impl AppendFile for FaultyFile<dyn AppendFile> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.faults.check("append", &self.path) {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.faults.check("sync_data", &self.path)?;
        self.file.sync_data()
    }
}

impl Faulty {
    /// With the switch for its faults.
    pub fn new() -> (Arc<Self>, Arc<Faults>) {
        let faults = Arc::new(Faults::default());
        (Arc::new(Self { faults: Arc::clone(&faults), files: OsFiles }), faults)
    }

    fn appending(&self, path: &Path, file: Box<dyn AppendFile>) -> Box<dyn AppendFile> {
        Box::new(FaultyFile { faults: Arc::clone(&self.faults), path: path.to_owned(), file })
    }
}

impl Files for Faulty {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.faults.check("list", dir)?;
        self.files.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.files.stat(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.faults.check("open", path)?;
        let file = self.files.open(path)?;
        Ok(Box::new(FaultyFile { faults: Arc::clone(&self.faults), path: path.to_owned(), file }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(self.appending(path, self.files.create(path)?))
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(self.appending(path, self.files.append_to(path)?))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.files.truncate(path, len)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.check("rename_new", from)?;
        self.files.rename_new(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.check("rename", from)?;
        self.files.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.faults.check("unlink", path)?;
        self.files.unlink(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.check("sync_dir", dir)?;
        self.files.sync_dir(dir)
    }

    fn create_dirs(&self, dir: &Path, mode: u32) -> io::Result<()> {
        self.files.create_dirs(dir, mode)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.files.free_bytes(path)
    }
}
