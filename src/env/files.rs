//! The file system as the engine sees it: a handful of operations whose order decides what survives a power cut.
//! A test double can therefore keep live and durable bytes apart.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::sys;

/// What kind of thing a name stands for. Only regular files are ever opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Regular,
    Directory,
    Symlink,
    Other,
}

/// What the kernel says of a file, symbolic links not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: FileKind,
    pub len: u64,
    pub dev: u64,
    pub ino: u64,
    pub nlink: u64,
    pub uid: u32,
    /// Nanoseconds since the epoch.
    pub mtime_ns: i128,
}

/// One name in a directory.
#[derive(Clone, Debug)]
pub struct DirEntry {
    pub name: OsString,
    pub stat: Stat,
}

/// Whether somebody else still has a file open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    None,
    Some,
    /// The kernel will not say (not our file, no capability, or a file system without leases).
    Unknown,
}

/// A file open for reading at any offset. It stays readable after a rename or unlink.
pub trait ReadFile: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 means end of file now.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn stat(&self) -> io::Result<Stat>;
    /// Makes the file's bytes durable, whoever wrote them (fdatasync works on a read-only descriptor).
    fn sync_data(&self) -> io::Result<()>;
    /// Asks with a read lease (`F_SETLEASE`) whether any process can still write to it.
    fn writers(&self) -> Writers;
}

/// What is left of a file system, for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free_bytes: u64,
    pub total_bytes: u64,
    /// `u64::MAX` where files are not counted.
    pub free_files: u64,
}

/// A file that only grows.
pub trait AppendFile: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Appends in a single write(2), so that nothing of another writer gets in between. A short write is an error: what it
    /// left of the bytes stays in the file.
    fn append_once(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append(bytes)
    }
    fn sync_data(&mut self) -> io::Result<()>;
}

/// Keeps everybody else from taking the same lock, as long as it lives.
pub struct FileLock(Option<File>);

impl FileLock {
    /// A lock that keeps nobody out, for doubles that live in one process.
    pub fn unshared() -> Self {
        Self(None)
    }

    /// Whether another process can see the lock.
    pub fn is_shared(&self) -> bool {
        self.0.is_some()
    }
}

/// The operations on names. None follows a symbolic link in its last component.
pub trait Files: Send + Sync {
    /// Every name in `dir` except `.` and `..`; names that vanish meanwhile are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Opens a regular file for reading; anything else is `InvalidInput`.
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;
    /// Creates a new file (mode 0600) for appending; an existing one is `AlreadyExists`.
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// Creates a new file as `create` does, but with mode 0660: for a directory shared with a group.
    fn create_for_group(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        self.create(path)
    }
    /// Opens an existing file for appending.
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn AppendFile>>;
    /// Cuts a file to `len` bytes and makes that durable.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;
    /// The whole content of a (small) file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Renames; an existing target is `AlreadyExists`, never replaced.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames over whatever is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Creates `dir` and its parents, if missing, durably; a directory it makes gets exactly `mode`, whatever the umask.
    fn create_dirs(&self, dir: &Path, mode: u32) -> io::Result<()>;
    /// Bytes free for us on the file system of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// What is left on the file system of `path`.
    fn space(&self, path: &Path) -> io::Result<Space> {
        Ok(Space { free_bytes: self.free_bytes(path)?, total_bytes: u64::MAX, free_files: u64::MAX })
    }
    /// Has the disk hold `len` bytes for what is appended to the file at `path` next; its length stays as it is.
    fn hold_room(&self, _path: &Path, _len: u64) -> io::Result<()> {
        Ok(())
    }
    /// Makes the file at `path` durable and has the kernel forget what it keeps of it in memory, so that the next read
    /// shows what the disk holds. After a write-back that failed, the kernel shows pages that never reached the disk, and
    /// a later sync finds nothing to complain about: what is read after a start must not rest on them.
    fn forget_cached(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
    /// Takes the exclusive lock `path` stands for, creating the file; `WouldBlock` when another process has it.
    fn lock(&self, _path: &Path) -> io::Result<FileLock> {
        Ok(FileLock::unshared())
    }
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFiles;

fn stat_of(metadata: &fs::Metadata) -> Stat {
    let kind = if metadata.file_type().is_file() {
        FileKind::Regular
    } else if metadata.file_type().is_dir() {
        FileKind::Directory
    } else if metadata.file_type().is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    };
    Stat {
        kind,
        len: metadata.len(),
        dev: metadata.dev(),
        ino: metadata.ino(),
        nlink: metadata.nlink(),
        uid: metadata.uid(),
        mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
    }
}

struct OsReadFile(File);

impl ReadFile for OsReadFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&self.0.metadata()?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn writers(&self) -> Writers {
        sys::writers(&self.0)
    }
}

struct OsAppendFile(File);

impl AppendFile for OsAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn append_once(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if written < bytes.len() {
            let message = format!("only {written} of {} bytes were written", bytes.len());
            return Err(io::Error::new(io::ErrorKind::StorageFull, message));
        }
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the seam through which everybody else reaches files")]
impl Files for OsFiles {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => entries.push(DirEntry { name: entry.file_name(), stat: stat_of(&metadata) }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(stat_of(&fs::symlink_metadata(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = OpenOptions::new().read(true).custom_flags(sys::OPEN_SAFELY).open(path)?;
        if !file.metadata()?.file_type().is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Box::new(OsReadFile(file)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(OsAppendFile(file)))
    }

    fn create_for_group(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o660).open(path)?;
        Ok(Box::new(OsAppendFile(file)))
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = OpenOptions::new().append(true).custom_flags(sys::OPEN_SAFELY).open(path)?;
        Ok(Box::new(OsAppendFile(file)))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).custom_flags(sys::OPEN_SAFELY).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        sys::rename_new(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn create_dirs(&self, dir: &Path, mode: u32) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()).collect();
        fs::DirBuilder::new().recursive(true).mode(mode & 0o777).create(dir)?;
        // mkdir(2) takes the umask off and drops the set-group-id bit.
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))?;
        missing.into_iter().try_for_each(|made| match made.parent() {
            Some(parent) if parent.as_os_str().is_empty() => self.sync_dir(Path::new(".")),
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        })
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        Ok(sys::space(path)?.free_bytes)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        sys::space(path)
    }

    fn hold_room(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).custom_flags(sys::OPEN_SAFELY).open(path)?;
        sys::hold_room(&file, file.metadata()?.len(), len)
    }

    fn forget_cached(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).custom_flags(sys::OPEN_SAFELY).open(path)?;
        file.sync_data()?;
        sys::forget_cached(&file)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.try_lock()?;
        Ok(FileLock(Some(file)))
    }
}
