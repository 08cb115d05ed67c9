//! One file of a log while it is open: copying its whole lines into a segment, and noticing when it is not what it was.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::env::{AppendFile, Files, ReadFile};
use crate::ingest::error::IngestError;
use crate::ingest::framing::{BLOCK, read_range};
use crate::ingest::seal::Seal;
use crate::ingest::stream::Pause;
use crate::model::SegmentId;

use super::cursor::{LogCursor, PRINT_LEN, Print};

/// White space and a carriage return a line may have beyond `max_line`; a longer line is copied before it ends.
const SLACK: u64 = 64;

/// Where a file stands under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Still under the name it was found by.
    Live,
    /// Under another name in the directory.
    Renamed,
    /// No longer in the directory.
    Gone,
}

/// The segment a file is copied into.
pub(super) struct Target {
    pub(super) id: SegmentId,
    pub(super) path: PathBuf,
    /// `None` after a failed write: what is behind `len` must be cut off first.
    pub(super) file: Option<Box<dyn AppendFile>>,
    pub(super) len: u64,
    pub(super) made: Duration,
}

impl Target {
    /// Appends durably; on an error that may pass, the segment ends where it did before.
    pub(super) fn append(&mut self, bytes: &[u8], files: &dyn Files) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                files.truncate(&self.path, self.len)?;
                self.file.insert(files.append_to(&self.path)?)
            }
        };
        if let Err(error) = file.append(bytes) {
            self.file = None;
            files.truncate(&self.path, self.len)?;
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), IngestError> {
        match &mut self.file {
            Some(file) => file.sync_data().map_err(IngestError::durability(&self.path)),
            None => Ok(()),
        }
    }
}

/// What the file's end looks like now.
pub(super) enum Growth {
    /// The next bytes to copy end here.
    Until(u64),
    /// Nothing whole to copy.
    Nothing,
    /// More bytes are there to look at.
    Searching,
    /// Shorter than what was copied.
    Shrunk,
    /// The bytes before the cursor have changed.
    Rewritten,
}

pub(super) struct Attached {
    pub(super) file: Box<dyn ReadFile>,
    pub(super) name: OsString,
    pub(super) first_name: OsString,
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// Everything before is copied.
    pub(super) offset: u64,
    /// No LF lies between `offset` and here.
    scanned: u64,
    guard: Print,
    head: Print,
    pub(super) len: u64,
    pub(super) standing: Standing,
    pub(super) seal: Seal,
    pub(super) target: Option<Target>,
    pub(super) pause: Pause,
    /// Copied from, or begun again, since the last cursor.
    pub(super) is_changed: bool,
}

impl Attached {
    /// A file to be copied from `offset` on.
    pub(super) fn new(
        file: Box<dyn ReadFile>,
        name: OsString,
        first_name: OsString,
        offset: u64,
        at: Duration,
    ) -> io::Result<Self> {
        let stat = file.stat()?;
        Ok(Self {
            guard: Print::before(file.as_ref(), offset)?,
            head: Print::read(file.as_ref(), 0, stat.len.min(PRINT_LEN))?,
            file,
            name,
            first_name,
            dev: stat.dev,
            ino: stat.ino,
            offset,
            scanned: offset,
            len: offset,
            standing: Standing::Live,
            seal: Seal::new(at),
            target: None,
            pause: Pause::default(),
            is_changed: false,
        })
    }

    pub(super) fn is_drained(&self) -> bool {
        self.scanned >= self.len
    }

    /// A renamed or deleted file holds older lines than its successor; one that cannot be read now must not block it.
    pub(super) fn keeps_younger_waiting(&self, at: Duration) -> bool {
        self.standing != Standing::Live && !self.is_drained() && self.pause.until <= at
    }

    pub(super) fn cursor(&self, log: &str, finished: bool) -> LogCursor {
        LogCursor {
            log: log.to_owned(),
            name: self.name.as_bytes().to_vec(),
            dev: self.dev,
            ino: self.ino,
            offset: self.offset,
            guard: self.guard,
            head: self.head,
            finished,
        }
    }

    /// Looks for the next whole lines, or for a piece of a line that is too long to wait for.
    pub(super) fn grown(&mut self, max_line: usize, at: Duration, buffer: &mut Vec<u8>) -> io::Result<Growth> {
        self.len = self.file.stat()?.len;
        self.seal.observe(self.len, at);
        if self.len < self.offset {
            return Ok(Growth::Shrunk);
        }
        if self.len <= self.scanned {
            return Ok(Growth::Nothing);
        }
        let guard_start = self.offset - u64::from(self.guard.len);
        if Print::read(self.file.as_ref(), guard_start, self.offset)? != self.guard {
            return Ok(Growth::Rewritten);
        }
        read_range(self.file.as_ref(), self.scanned, (self.len - self.scanned).min(BLOCK as u64), buffer)?;
        if let Some(last) = memchr::memrchr(b'\n', buffer) {
            return Ok(Growth::Until(self.scanned + last as u64 + 1));
        }
        self.scanned += buffer.len() as u64;
        if self.scanned - self.offset > max_line as u64 + SLACK {
            return Ok(Growth::Until(self.scanned));
        }
        Ok(if self.scanned < self.len { Growth::Searching } else { Growth::Nothing })
    }

    /// Copies up to `end`; the target must be there. Durable only after `Target::sync`.
    pub(super) fn copy(&mut self, end: u64, files: &dyn Files, buffer: &mut Vec<u8>) -> io::Result<()> {
        while self.offset < end {
            read_range(self.file.as_ref(), self.offset, (end - self.offset).min(BLOCK as u64), buffer)?;
            if buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let target = self.target.as_mut().expect("the caller makes the target");
            target.append(buffer, files)?;
            self.is_changed = true;
            self.offset += buffer.len() as u64;
            self.scanned = self.scanned.max(self.offset);
        }
        self.guard = Print::before(self.file.as_ref(), self.offset)?;
        if u64::from(self.head.len) < PRINT_LEN {
            self.head = Print::read(self.file.as_ref(), 0, self.len.min(PRINT_LEN))?;
        }
        Ok(())
    }

    /// Begins again at the file's start, as with a file never seen.
    pub(super) fn restart(&mut self) {
        self.is_changed = true;
        self.offset = 0;
        self.scanned = 0;
        self.guard = Print::of(&[]);
        self.head = Print::of(&[]);
    }
}
