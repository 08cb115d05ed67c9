//! The file behind the log of changes: `changes.ndjson`, and `changes.1.ndjson` with what came before it.
//!
//! A line is durable before the answer to its request goes out. A line that a crash tore is cut off at the next start. When the
//! file is full it takes the place of the older one, so that the two together are bounded.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use thiserror::Error;

use super::NewChange;
use crate::admin::api::{Change, Page};
use crate::admin::caller::Caller;
use crate::admin::control::{ControlError, PageRequest};
use crate::env::{AppendFile, Clock, Files};

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Bytes of one line; a change that says more is recorded without its before and after.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The log of changes cannot be read or written.
#[derive(Debug, Error)]
#[error("the log of changes {}: {source}", path.display())]
pub struct ChangeError {
    path: PathBuf,
    source: io::Error,
}

struct Tail {
    next: u64,
    /// Bytes of the file that are whole lines.
    len: u64,
    /// Not there before the first line, and after a failure.
    file: Option<Box<dyn AppendFile>>,
}

/// The log of changes of one state directory.
pub struct Changes {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    older: PathBuf,
    file_bytes_max: u64,
    tail: Mutex<Tail>,
}

impl Changes {
    /// The log in `dir`, which must exist. Nothing is written yet.
    pub fn open(files: Arc<dyn Files>, dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, ChangeError> {
        Self::open_with(files, dir, clock, FILE_BYTES_MAX)
    }

    pub(super) fn open_with(
        files: Arc<dyn Files>,
        dir: &Path,
        clock: Arc<dyn Clock>,
        file_bytes_max: u64,
    ) -> Result<Self, ChangeError> {
        let (path, older) = (dir.join("changes.ndjson"), dir.join("changes.1.ndjson"));
        let failed = |path: &Path, source| ChangeError { path: path.to_owned(), source };
        let bytes = content(&*files, &path).map_err(|source| failed(&path, source))?;
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let (changes, damaged) = read(&bytes[..whole]);
        if damaged > 0 {
            tracing::error!(file = %path.display(), lines = damaged, "lines of the log of changes cannot be read");
        }
        let last = match changes.last() {
            Some(last) => last.id,
            None => {
                let bytes = content(&*files, &older).map_err(|source| failed(&older, source))?;
                read(&bytes).0.last().map_or(0, |last| last.id)
            }
        };
        let tail = Tail { next: last + 1, len: whole as u64, file: None };
        Ok(Self { files, clock, path, older, file_bytes_max, tail: Mutex::new(tail) })
    }

    /// Writes a change down; it is durable when this returns.
    pub fn record(&self, change: NewChange) -> Result<(), ChangeError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let line = self.line(tail.next, change);
        match self.append(&mut tail, &line) {
            Ok(()) => {
                tail.next += 1;
                tail.len += line.len() as u64;
                Ok(())
            }
            Err(source) => {
                // Whatever came to lie behind the last whole line is cut off before the next one.
                tail.file = None;
                Err(ChangeError { path: self.path.clone(), source })
            }
        }
    }

    fn line(&self, id: u64, new: NewChange) -> Vec<u8> {
        let NewChange { by, tenant, method, route, thing, before, after, request_id } = new;
        let at = self.clock.now();
        let mut change = Change { id, at, by, tenant, method, route, thing, before, after, request_id };
        let write = |change: &Change| {
            let mut line = serde_json::to_vec(change).expect("strings and JSON values always serialise");
            line.push(b'\n');
            line
        };
        let line = write(&change);
        if line.len() <= LINE_BYTES_MAX {
            return line;
        }
        let omitted = |value: Option<Value>| value.map(|_| json!({"omitted": "too large for the log of changes"}));
        (change.before, change.after) = (omitted(change.before), omitted(change.after));
        write(&change)
    }

    fn append(&self, tail: &mut Tail, line: &[u8]) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new(""));
        if tail.len > 0 && tail.len + line.len() as u64 > self.file_bytes_max {
            tail.file = None;
            self.files.truncate(&self.path, tail.len)?;
            self.files.rename(&self.path, &self.older)?;
            tail.len = 0;
            self.files.sync_dir(dir)?;
        }
        let file = match &mut tail.file {
            Some(file) => file,
            None => {
                let file = match self.files.stat(&self.path) {
                    Ok(stat) => {
                        if stat.len > tail.len {
                            self.files.truncate(&self.path, tail.len)?;
                        }
                        self.files.append_to(&self.path)?
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let file = self.files.create(&self.path)?;
                        self.files.sync_dir(dir)?;
                        file
                    }
                    Err(error) => return Err(error),
                };
                tail.file.insert(file)
            }
        };
        file.append(line)?;
        file.sync_data()
    }

    /// Newest first, as far as the caller sees. Cursors are the number of the change to go on below.
    pub fn list(&self, caller: &Caller, page: &PageRequest) -> Result<Page<Change>, ControlError> {
        let below = match page.cursor.as_deref() {
            None => u64::MAX,
            Some(text) => text
                .strip_prefix('c')
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| ControlError::Invalid(format!("\"{text}\" is no cursor of this list")))?,
        };
        let mut all = Vec::new();
        {
            // A rotation between the two files would show none of what moved.
            let _tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            for path in [&self.older, &self.path] {
                let bytes = content(&*self.files, path)
                    .map_err(|error| ControlError::Internal(format!("read {}: {error}", path.display())))?;
                all.extend(read(&bytes).0);
            }
        }
        let seen = |change: &Change| match &change.tenant {
            Some(tenant) => caller.sees(tenant),
            None => caller.tenant.is_none(),
        };
        let mut found = all.into_iter().rev().filter(|change| change.id < below && seen(change));
        let data: Vec<Change> = found.by_ref().take(usize::from(page.limit)).collect();
        let has_more = found.next().is_some();
        let next_cursor = data.last().filter(|_| has_more).map(|last| format!("c{}", last.id));
        Ok(Page { data, next_cursor, has_more })
    }
}

fn content(files: &dyn Files, path: &Path) -> io::Result<Vec<u8>> {
    match files.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

/// The whole lines that can be read, and how many cannot.
fn read(bytes: &[u8]) -> (Vec<Change>, usize) {
    let whole = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let (mut changes, mut damaged) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(change) => changes.push(change),
            Err(_) => damaged += 1,
        }
    }
    (changes, damaged)
}
