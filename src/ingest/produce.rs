//! The producer's side of the spool protocol, done right: what `send`, the API and a retry from quarantine use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::env::Files;
use crate::model::{Position, Rejection, SegmentId, Timestamp};

use super::layout::{Layout, ignore_missing};
use super::names::spool_stem;
use super::record::parse_line;

/// Why an event does not count as written.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    #[error("{reason}: {detail}", reason = .0.reason.as_str(), detail = .0.detail)]
    NotAnEvent(Rejection),
    #[error("the event has {len} bytes, the spool takes {max}; make it smaller or raise `max_line`")]
    TooLong { len: usize, max: usize },
    #[error("`{name}` cannot name a spool file; use letters, digits, `.`, `_` and `-`, and no `.` in front")]
    BadName { name: String },
    #[error("{path} asks producers to wait: the disk is nearly full; try again later, `spoolhook status` tells more", path = path.display())]
    Backpressure { path: PathBuf },
    /// The event does not count as accepted, though a part of it may be in the file; sending it again is right.
    #[error("cannot write {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The file has its name and will be read, unless a power cut takes the name away. Sending it again may write it twice.
    #[error("{path} is written, but its name may not survive a power cut: {source}", path = path.display())]
    NotDurable { path: PathBuf, source: io::Error },
}

/// Producers that are asked to wait look again after this time.
const WAIT: Duration = Duration::from_secs(5);
/// A full disk takes somebody longer.
const FULL_WAIT: Duration = Duration::from_secs(30);

impl ProduceError {
    /// When it is worth trying again; nothing, when the same event can never be written.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Backpressure { .. } => Some(WAIT),
            Self::Io { .. } if self.is_full() => Some(FULL_WAIT),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::Interrupted => Some(Duration::ZERO),
            _ => None,
        }
    }

    /// The disk, or a quota, has no room.
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Writes events into a spool, whether or not an engine is running.
pub struct Producer {
    files: Arc<dyn Files>,
    layout: Layout,
    max_line: usize,
}

impl Producer {
    /// A producer for the spool at `spool` that refuses lines longer than `max_line`.
    pub fn new(files: Arc<dyn Files>, spool: &Path, max_line: usize) -> Self {
        Self { files, layout: Layout::of(spool), max_line }
    }

    /// Appends one event to `in/<name>.ndjson` in a single write; durable on return if `durable`.
    ///
    /// An LF goes before it as well as after it, so that a torn line of somebody else cannot take it along.
    pub fn append(&self, name: &str, event: &[u8], durable: bool) -> Result<PathBuf, ProduceError> {
        let line = self.one_line(event)?;
        self.heed_backpressure()?;
        let path = self.layout.inbox.join(file_name(name)?);
        let write = || {
            let mut file = loop {
                match self.files.append_to(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => break other?,
                }
                // Another producer may create it, or the engine claim it, between the two calls.
                match self.files.create_for_group(&path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => break other?,
                }
            };
            file.append_once(&[b"\n", line.as_slice(), b"\n"].concat())?;
            if durable {
                file.sync_data()?;
                self.files.sync_dir(&self.layout.inbox)?;
            }
            Ok(())
        };
        write().map_err(|source| ProduceError::Io { path: path.clone(), source })?;
        Ok(path)
    }

    /// Writes `events` as a finished file and renames it into `in/`: all of them appear at once, durably.
    pub fn drop_file(&self, name: &str, events: &[&[u8]]) -> Result<PathBuf, ProduceError> {
        self.drop_finished(name, events, true)
    }

    /// The same, and durable on return only if `durable`.
    pub fn drop_finished(&self, name: &str, events: &[&[u8]], durable: bool) -> Result<PathBuf, ProduceError> {
        let file_name = file_name(name)?;
        let mut bytes = Vec::new();
        for event in events {
            bytes.extend_from_slice(&self.one_line(event)?);
            bytes.push(b'\n');
        }
        self.heed_backpressure()?;
        let (draft, path) = (self.layout.tmp.join(&file_name), self.layout.inbox.join(&file_name));
        let write = || -> io::Result<()> {
            ignore_missing(self.files.unlink(&draft))?;
            let mut file = self.files.create_for_group(&draft)?;
            file.append(&bytes)?;
            if durable {
                file.sync_data()?;
            }
            self.files.rename_new(&draft, &path)
        };
        write().map_err(|source| {
            // Once renamed it is gone from there; before that nobody else wants it.
            let _ = self.files.unlink(&draft);
            ProduceError::Io { path: path.clone(), source }
        })?;
        if durable {
            let failed = |source| ProduceError::NotDurable { path: path.clone(), source };
            self.files.sync_dir(&self.layout.inbox).map_err(failed)?;
        }
        Ok(path)
    }

    /// Makes the names of finished files durable, in `in/` and where the engine has put them since.
    pub fn sync_names(&self) -> Result<(), ProduceError> {
        [&self.layout.inbox, &self.layout.claimed].into_iter().try_for_each(|dir| {
            self.files.sync_dir(dir).map_err(|source| ProduceError::Io { path: dir.clone(), source })
        })
    }

    /// `Backpressure` while the engine asks producers to wait.
    pub fn heed_backpressure(&self) -> Result<(), ProduceError> {
        let path = self.layout.backpressure();
        match self.files.stat(&path) {
            Ok(_) => Err(ProduceError::Backpressure { path }),
            Err(_) => Ok(()),
        }
    }

    fn one_line(&self, event: &[u8]) -> Result<Vec<u8>, ProduceError> {
        as_line(event, self.max_line)
    }
}

/// The event as one line of at most `max_line` bytes, judged as the reader will. JSON has line ends only between tokens,
/// where a space means the same.
pub fn as_line(event: &[u8], max_line: usize) -> Result<Vec<u8>, ProduceError> {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let event = event.trim_ascii();
    if event.len() > max_line {
        return Err(ProduceError::TooLong { len: event.len(), max: max_line });
    }
    let nowhere = Position { segment: SegmentId(0), offset: 0 };
    let check = |text: &[u8]| parse_line(text, nowhere, 0, Timestamp::default()).map_err(ProduceError::NotAnEvent);
    check(event)?;
    let mut line = event.to_vec();
    if line.iter().any(is_break) {
        line.iter_mut().filter(|byte| is_break(byte)).for_each(|byte| *byte = b' ');
        check(&line)?;
    }
    Ok(line)
}

/// The name of the file in `in/` that `name` stands for.
pub fn file_name(name: &str) -> Result<String, ProduceError> {
    let file_name = format!("{name}.ndjson");
    let is_plain = spool_stem(file_name.as_ref()).is_some_and(|stem| stem == name) && !name.is_empty();
    if is_plain { Ok(file_name) } else { Err(ProduceError::BadName { name: name.to_owned() }) }
}
