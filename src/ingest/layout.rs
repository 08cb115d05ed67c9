//! The spool's directories: their names, their making, and the lock that keeps a second engine out.
//!
//! ```text
//! <spool>/in/                 producers create and append NAME.ndjson (mode 2770: one producer group)
//!         tmp/                staging for finished files, renamed into in/
//!         claimed/            <ULID>~<name>.ndjson: being read or delivered (mode 0700)
//!         archive/YYYYMMDD/   delivered, kept for retention
//!         archive/remnants/   lines still needed of segments that are gone
//!         quarantine/         lines that are no events
//!         .lock .spool-id     one engine at a time; a random UUID
//!         BACKPRESSURE        there while producers are asked to wait
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use uuid::Uuid;

use crate::env::{FileKind, FileLock, Files};
use crate::model::Timestamp;

use super::error::IngestError;

const PRODUCERS: u32 = 0o2770;
const ENGINE: u32 = 0o700;

/// Paths within one spool.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) inbox: PathBuf,
    pub(super) tmp: PathBuf,
    pub(super) claimed: PathBuf,
    pub(super) archive: PathBuf,
    pub(super) remnants: PathBuf,
    pub(super) quarantine: PathBuf,
}

impl Layout {
    pub(super) fn of(root: &Path) -> Self {
        let archive = root.join("archive");
        Self {
            inbox: root.join("in"),
            tmp: root.join("tmp"),
            claimed: root.join("claimed"),
            remnants: archive.join("remnants"),
            quarantine: root.join("quarantine"),
            archive,
            root: root.to_owned(),
        }
    }

    /// The archive of the day of `now`, UTC.
    pub(super) fn archive_day(&self, now: Timestamp) -> PathBuf {
        let date = now.to_string();
        self.archive.join(date[..10].replace('-', ""))
    }

    /// Makes what is missing and takes the lock, which is held as long as the value lives.
    pub(super) fn prepare(&self, files: &dyn Files, random: u64) -> Result<FileLock, IngestError> {
        let dirs = [
            (&self.root, 0o755),
            (&self.inbox, PRODUCERS),
            (&self.tmp, PRODUCERS),
            (&self.claimed, ENGINE),
            (&self.archive, ENGINE),
            (&self.remnants, ENGINE),
            (&self.quarantine, ENGINE),
        ];
        for (dir, mode) in dirs {
            files.create_dirs(dir, mode).map_err(IngestError::layout(dir))?;
        }
        let lock_path = self.root.join(".lock");
        let lock = files.lock(&lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => IngestError::Locked { dir: self.root.clone() },
            _ => IngestError::layout(&lock_path)(error),
        })?;
        let dev = files.stat(&self.inbox).map_err(IngestError::layout(&self.inbox))?.dev;
        for dir in [&self.tmp, &self.claimed, &self.archive, &self.quarantine] {
            if files.stat(dir).map_err(IngestError::layout(dir))?.dev != dev {
                return Err(IngestError::OtherFileSystem { path: dir.clone() });
            }
        }
        if self.spool_id(files).is_none() {
            self.write_spool_id(files, random).map_err(IngestError::layout(self.root.join(".spool-id")))?;
        }
        // An engine that was killed may have left renames behind that a power cut would still undo.
        for dir in [&self.root, &self.inbox, &self.claimed, &self.archive, &self.remnants, &self.quarantine] {
            files.sync_dir(dir).map_err(IngestError::durability(dir))?;
        }
        Ok(lock)
    }

    pub(super) fn spool_id(&self, files: &dyn Files) -> Option<Uuid> {
        let text = files.read(&self.root.join(".spool-id")).ok()?;
        Uuid::from_str(std::str::from_utf8(&text).ok()?.trim()).ok()
    }

    fn write_spool_id(&self, files: &dyn Files, random: u64) -> io::Result<()> {
        let draft = self.root.join(".spool-id.new");
        ignore_missing(files.unlink(&draft))?;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random.to_le_bytes());
        bytes[8..].copy_from_slice(&random.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).to_le_bytes());
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let mut file = files.create(&draft)?;
        file.append(format!("{id}\n").as_bytes())?;
        file.sync_data()?;
        files.rename(&draft, &self.root.join(".spool-id"))
    }

    /// Makes `in/` again after it vanished, but only in the same spool: an empty mount point must not look like one.
    pub(super) fn restore_inbox(&self, files: &dyn Files, id: Option<Uuid>) -> io::Result<()> {
        if id.is_none() || self.spool_id(files) != id {
            return Err(io::Error::other("the spool's .spool-id is gone or another; is its file system mounted?"));
        }
        files.create_dirs(&self.inbox, PRODUCERS)
    }

    /// The sign that asks producers to wait.
    pub(super) fn backpressure(&self) -> PathBuf {
        self.root.join("BACKPRESSURE")
    }

    /// Sets or clears the sign that asks producers to wait.
    pub(super) fn signal_backpressure(&self, files: &dyn Files, is_on: bool) -> io::Result<()> {
        let path = self.backpressure();
        if !is_on {
            return ignore_missing(files.unlink(&path));
        }
        match files.create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// The archive's day directories, oldest first.
    pub(super) fn archive_days(&self, files: &dyn Files) -> io::Result<Vec<PathBuf>> {
        let mut days: Vec<_> = files
            .list(&self.archive)?
            .into_iter()
            .filter(|entry| entry.stat.kind == FileKind::Directory)
            .filter(|entry| entry.name.to_str().is_some_and(|name| name.len() == 8 && name.parse::<u32>().is_ok()))
            .map(|entry| self.archive.join(entry.name))
            .collect();
        days.sort();
        Ok(days)
    }
}

/// Success when the thing to remove was not there.
pub(super) fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
