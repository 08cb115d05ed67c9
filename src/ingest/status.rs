//! What ingest says to people: troubles that need a hand, and how far each source is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::env::Files;
use crate::model::Timestamp;

/// Problems kept at most; more of them say nothing new.
const MAX_PROBLEMS: usize = 500;
/// How long something that happened once is reported.
const KEPT: Duration = Duration::from_secs(24 * 3600);

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
    /// The disk is so full that no more is taken than can be delivered.
    Space,
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
            ProblemKind::Space => "space",
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
        let key = (kind, path.to_owned());
        if self.found.contains_key(&key) {
            return;
        }
        if self.found.len() >= MAX_PROBLEMS
            && let Some(oldest) = self.found.values().min_by_key(|problem| problem.since)
        {
            let oldest = (oldest.kind, oldest.path.clone());
            self.found.remove(&oldest);
        }
        let problem = Problem { kind, path: path.to_owned(), detail: detail.into(), since: now };
        self.found.insert(key, problem);
    }

    pub(super) fn clear(&mut self, kind: ProblemKind, path: &Path) {
        if !self.found.is_empty() {
            self.found.remove(&(kind, path.to_owned()));
        }
    }

    /// Forgets those of names that are no longer in `dir`.
    pub(super) fn forget_missing(&mut self, dir: &Path, files: &dyn Files) {
        let is_there = |path: &Path| path.parent() != Some(dir) || files.stat(path).is_ok();
        self.found.retain(|(kind, path), _| {
            !matches!(kind, ProblemKind::Ignored | ProblemKind::Unreadable) || is_there(path)
        });
    }

    /// Forgets what was noticed long ago; what lasts is noticed again.
    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.found.retain(|_, problem| now.since(problem.since) < KEPT);
    }

    pub(super) fn all(&self) -> Vec<Problem> {
        self.found.values().cloned().collect()
    }
}
