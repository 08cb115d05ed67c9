//! Looking through the quarantine and deciding. Works beside a running engine: decisions are appended, nothing else
//! changes.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{HeldRecord, Record, file_name, records};
use crate::env::Files;
use crate::ingest::layout::{Layout, ignore_missing};
use crate::ingest::produce::{ProduceError, Producer};
use crate::model::{SegmentId, Timestamp};

/// What a person decided about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuarantineState {
    Held,
    /// Written into the spool again.
    Retried,
    Dropped,
}

impl QuarantineState {
    /// The name in files and output.
    pub fn as_str(self) -> &'static str {
        match self {
            QuarantineState::Held => "held",
            QuarantineState::Retried => "retried",
            QuarantineState::Dropped => "dropped",
        }
    }
}

/// One line that is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineEntry {
    /// `<segment>-<offset>`.
    pub id: String,
    /// The NAME it came by.
    pub source: String,
    pub segment: SegmentId,
    pub offset: u64,
    /// Bytes, line end included.
    pub len: u64,
    pub at: Timestamp,
    /// A name of `RejectionReason`.
    pub reason: String,
    pub detail: String,
    /// The first 256 bytes.
    pub first: Vec<u8>,
    pub state: QuarantineState,
}

/// Why a decision could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    #[error("no quarantined line has the id {id}; `quarantine list` shows them")]
    NotFound { id: String },
    #[error("line {id} was {state} already", state = state.as_str())]
    Decided { id: String, state: QuarantineState },
    #[error("line {id} is no event as it stands: {source}")]
    NotSent { id: String, source: ProduceError },
    #[error("cannot use {path}: {source}; check its owner and mode", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The quarantine of a spool.
pub struct Quarantine {
    files: Arc<dyn Files>,
    layout: Layout,
}

impl Quarantine {
    /// The quarantine of the spool at `spool`.
    pub fn new(files: Arc<dyn Files>, spool: &Path) -> Self {
        Self { files, layout: Layout::of(spool) }
    }

    /// Every line set aside, oldest first, decided ones included.
    pub fn list(&self) -> Result<Vec<QuarantineEntry>, QuarantineError> {
        let dir = &self.layout.quarantine;
        let mut names: Vec<_> = match self.files.list(dir) {
            Ok(entries) => entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(QuarantineError::Io { path: dir.clone(), source }),
        };
        names.retain(|name| name.ends_with(".ndjson.q"));
        names.sort();
        let mut entries = Vec::new();
        for name in names {
            entries.extend(self.read(&dir.join(name))?.into_iter().map(|(entry, _)| entry));
        }
        Ok(entries)
    }

    /// One line with its raw bytes.
    pub fn show(&self, id: &str) -> Result<(QuarantineEntry, Vec<u8>), QuarantineError> {
        let (entry, held) = self.find(id)?;
        let raw = match (&held.raw_b64, &held.blob) {
            (Some(text), _) => STANDARD.decode(text).unwrap_or_default(),
            (None, Some(blob)) => {
                let path = self.layout.quarantine.join(blob);
                self.files.read(&path).map_err(|source| QuarantineError::Io { path, source })?
            }
            (None, None) => entry.first.clone(),
        };
        Ok((entry, raw))
    }

    /// Writes the line (or `edited` in its place) into the spool as a new file and marks it; the path of that file.
    /// A crash in between leaves the line held: it may then be sent twice, never lost.
    pub fn retry(
        &self,
        id: &str,
        edited: Option<&[u8]>,
        max_line: usize,
        now: Timestamp,
    ) -> Result<PathBuf, QuarantineError> {
        let (entry, raw) = self.show(id)?;
        undecided(&entry)?;
        let producer = Producer::new(Arc::clone(&self.files), &self.layout.root, max_line);
        let line = edited.unwrap_or(&raw);
        let path = producer
            .drop_file(&format!("retry-{id}"), &[line])
            .map_err(|source| QuarantineError::NotSent { id: id.to_owned(), source })?;
        self.mark(&entry, QuarantineState::Retried, now)?;
        Ok(path)
    }

    /// Gives the line up. Its record stays; the separate file of a long line goes.
    pub fn drop_line(&self, id: &str, now: Timestamp) -> Result<(), QuarantineError> {
        let (entry, held) = self.find(id)?;
        undecided(&entry)?;
        self.mark(&entry, QuarantineState::Dropped, now)?;
        let Some(blob) = held.blob else {
            return Ok(());
        };
        let path = self.layout.quarantine.join(blob);
        ignore_missing(self.files.unlink(&path)).map_err(|source| QuarantineError::Io { path, source })
    }

    fn mark(&self, entry: &QuarantineEntry, state: QuarantineState, now: Timestamp) -> Result<(), QuarantineError> {
        let path = self.layout.quarantine.join(file_name(entry.segment));
        let record = Record::Mark { id: entry.id.clone(), mark: state.as_str().to_owned(), at: now.to_string() };
        let text = serde_json::to_string(&record).expect("a record of strings is JSON");
        let append = || {
            let mut file = self.files.append_to(&path)?;
            file.append(format!("\n{text}\n").as_bytes())?;
            file.sync_data()
        };
        append().map_err(|source| QuarantineError::Io { path: path.clone(), source })
    }

    fn find(&self, id: &str) -> Result<(QuarantineEntry, HeldRecord), QuarantineError> {
        let missing = || QuarantineError::NotFound { id: id.to_owned() };
        let segment: SegmentId =
            id.split_once('-').and_then(|(segment, _)| segment.parse().ok()).ok_or_else(missing)?;
        let path = self.layout.quarantine.join(file_name(segment));
        self.read(&path)?.into_iter().find(|(entry, _)| entry.id == id).ok_or_else(missing)
    }

    fn read(&self, path: &Path) -> Result<Vec<(QuarantineEntry, HeldRecord)>, QuarantineError> {
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(QuarantineError::Io { path: path.to_owned(), source }),
        };
        let mut entries: Vec<(QuarantineEntry, HeldRecord)> = Vec::new();
        let mut marks = HashMap::new();
        for record in records(&bytes) {
            match record {
                Record::Held(held) => entries.extend(entry_of(&held).map(|entry| (entry, held))),
                Record::Mark { id, mark, .. } => {
                    marks.insert(id, mark);
                }
            }
        }
        for (entry, _) in &mut entries {
            entry.state = match marks.get(&entry.id).map(String::as_str) {
                Some("retried") => QuarantineState::Retried,
                Some("dropped") => QuarantineState::Dropped,
                _ => QuarantineState::Held,
            };
        }
        Ok(entries)
    }
}

fn undecided(entry: &QuarantineEntry) -> Result<(), QuarantineError> {
    match entry.state {
        QuarantineState::Held => Ok(()),
        state => Err(QuarantineError::Decided { id: entry.id.clone(), state }),
    }
}

fn entry_of(held: &HeldRecord) -> Option<QuarantineEntry> {
    Some(QuarantineEntry {
        id: held.id.clone(),
        source: held.src.clone(),
        segment: held.segment.parse().ok()?,
        offset: held.offset,
        len: held.len,
        at: Timestamp::parse(&held.at)?,
        reason: held.reason.clone(),
        detail: held.detail.clone(),
        first: STANDARD.decode(&held.first_256_b64).ok()?,
        state: QuarantineState::Held,
    })
}
