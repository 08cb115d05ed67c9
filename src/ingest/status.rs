//! What ingest says to people: troubles that need a hand, and how far each source is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::model::Timestamp;

/// Problems kept at most; more of them say nothing new.
const MAX_PROBLEMS: usize = 500;

/// The class of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// A name in `in/` that is not read: wrong suffix, directory, FIFO, symbolic link.
    Ignored,
    /// Cannot be opened or read now; tried again.
    Unreadable,
    /// Two names for one file.
    HardLink,
    /// A claimed or tailed file became shorter than what was read of it.
    Truncated,
    /// A log file's name now stands for other bytes than the cursor remembers.
    Replaced,
    /// A file grew after it was taken for finished.
    LateWrite,
    /// So many bad lines that reading slows down: something else than events is written here.
    Flood,
}

impl ProblemKind {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::Ignored => "ignored",
            ProblemKind::Unreadable => "unreadable",
            ProblemKind::HardLink => "hard_link",
            ProblemKind::Truncated => "truncated",
            ProblemKind::Replaced => "replaced",
            ProblemKind::LateWrite => "late_write",
            ProblemKind::Flood => "flood",
        }
    }
}

/// One trouble: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    pub path: PathBuf,
    pub detail: String,
    pub since: Timestamp,
}

/// How far one source is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// A NAME of the spool, or `log~NAME`.
    pub name: String,
    /// Files being read now.
    pub files: usize,
    /// Bytes seen in them that are not yet taken in.
    pub bytes_behind: u64,
    /// When a line of it was last taken in.
    pub last_read: Option<Timestamp>,
}

/// The current problems, one per path and kind.
#[derive(Default)]
pub(super) struct Problems {
    found: BTreeMap<(ProblemKind, PathBuf), Problem>,
}

impl Problems {
    pub(super) fn set(&mut self, kind: ProblemKind, path: &Path, detail: impl Into<String>, now: Timestamp) {
        if self.found.len() >= MAX_PROBLEMS {
            return;
        }
        let problem = Problem { kind, path: path.to_owned(), detail: detail.into(), since: now };
        self.found.entry((kind, path.to_owned())).or_insert(problem);
    }

    pub(super) fn clear(&mut self, kind: ProblemKind, path: &Path) {
        if !self.found.is_empty() {
            self.found.remove(&(kind, path.to_owned()));
        }
    }

    /// Forgets those of `kind` whose path is not among `still`, as after a fresh look at a directory.
    pub(super) fn keep_only(&mut self, kind: ProblemKind, dir: &Path, still: &[PathBuf]) {
        self.found.retain(|(found, path), _| *found != kind || path.parent() != Some(dir) || still.contains(path));
    }

    pub(super) fn all(&self) -> Vec<Problem> {
        self.found.values().cloned().collect()
    }
}
