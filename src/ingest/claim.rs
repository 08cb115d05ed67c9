//! Finding files in `in/` and taking them by rename. Once renamed, no path leads a producer to the file's bytes:
//! rotation, truncation by name and reuse of the name happen to another file.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::env::{FileKind, Files, Stat};
use crate::model::{SegmentId, Timestamp};

use super::index::SegmentIndex;
use super::layout::{Layout, ignore_missing};
use super::names::{Origin, segment_name, spool_stem};
use super::status::{ProblemKind, Problems};

/// Shortest time between two listings of `in/`: a listing costs as much as there are run.files.
pub(super) const LIST_PAUSE: Duration = Duration::from_millis(20);

/// A file that may be claimed.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) stem: String,
    stat: Stat,
}

/// What looking at `in/` needs.
pub(super) struct ClaimRun<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) layout: &'a Layout,
    pub(super) index: &'a SegmentIndex,
    pub(super) problems: &'a mut Problems,
    pub(super) now: Timestamp,
    pub(super) at: Duration,
}

/// The waiting files of the last listing, in the order they are to be claimed: by age, then by name.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) waiting: VecDeque<Candidate>,
    pub(super) listed: Option<Duration>,
    /// The last listing failed, or names in it were claimed too recently to be claimed again.
    pub(super) has_deferred: bool,
    /// Device and inode of claimed files with a second name, so that it is not claimed as a second file.
    pub(super) linked: HashMap<(u64, u64), SegmentId>,
}

impl Inbox {
    /// Whether the last listing left nothing to claim.
    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_some() && self.waiting.is_empty() && !self.has_deferred
    }

    /// Whether `stat` is a file that was claimed under another name.
    fn is_second_name(&self, stat: &Stat, run: &ClaimRun<'_>) -> bool {
        // The inode number alone says nothing: it may have been used again.
        let claimed = self.linked.get(&(stat.dev, stat.ino)).and_then(|id| run.index.get(*id));
        claimed
            .and_then(|path| run.files.stat(&path).ok())
            .is_some_and(|now| (now.dev, now.ino) == (stat.dev, stat.ino))
    }

    /// Looks at every name of `in/`, reports those that are no event files.
    pub(super) fn list(&mut self, run: &mut ClaimRun<'_>) -> io::Result<()> {
        self.listed = Some(run.at);
        self.has_deferred = true;
        let mut found = Vec::new();
        for entry in run.files.list(&run.layout.inbox)? {
            let path = run.layout.inbox.join(&entry.name);
            match why_ignored(&entry.name, entry.stat.kind) {
                Err("") => {}
                Err(detail) => run.problems.set(ProblemKind::Ignored, &path, detail, run.now),
                Ok(stem) => found.push((entry.stat.mtime_ns, entry.name, Candidate { path, stem, stat: entry.stat })),
            }
        }
        run.problems.forget_missing(&run.layout.inbox, run.files);
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        self.has_deferred = false;
        self.waiting = found.into_iter().map(|(_, _, candidate)| candidate).collect();
        Ok(())
    }

    /// Renames `candidate` into `claimed/`; `None` when it cannot be claimed now (reported) or is a second name.
    /// The rename is durable only after both directories are synced.
    pub(super) fn claim(&mut self, candidate: &Candidate, id: SegmentId, run: &mut ClaimRun<'_>) -> Option<PathBuf> {
        let path = &candidate.path;
        if candidate.stat.nlink > 1 && self.is_second_name(&candidate.stat, run) {
            let detail = match ignore_missing(run.files.unlink(path)) {
                Ok(()) => {
                    "a second name of a file that is being read; the name was removed, write each file once".into()
                }
                Err(error) => format!("a second name of a file that is being read, and cannot be removed: {error}"),
            };
            run.problems.set(ProblemKind::HardLink, path, detail, run.now);
            return None;
        }
        // A file we cannot read stays where its owner can see and mend it.
        let claimed = run.layout.claimed.join(segment_name(id, &Origin::Spool { stem: candidate.stem.clone() }));
        let renamed = run.files.open(path).and_then(|_| run.files.rename_new(path, &claimed));
        match renamed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                let detail = format!("cannot be claimed: {error}; give the engine's user access to it");
                run.problems.set(ProblemKind::Unreadable, path, detail, run.now);
                return None;
            }
        }
        run.problems.clear(ProblemKind::Unreadable, path);
        if candidate.stat.nlink > 1 {
            self.linked.insert((candidate.stat.dev, candidate.stat.ino), id);
            let detail = "the file has a second name, so its end cannot be proven; it is sealed after long silence";
            run.problems.set(ProblemKind::HardLink, path, detail, run.now);
        }
        Some(claimed)
    }
}

/// The stem of an event file, or why the name is not one; an empty reason is not worth a report.
fn why_ignored(name: &std::ffi::OsStr, kind: FileKind) -> Result<String, &'static str> {
    if name.as_encoded_bytes().starts_with(b".") {
        return Err("");
    }
    match kind {
        FileKind::Regular => {
            spool_stem(name).ok_or("not read: the name ends neither in .ndjson nor in .jsonl; rename it")
        }
        FileKind::Directory => Err("not read: a directory; put the files into in/ itself"),
        FileKind::Symlink => Err("not read: a symbolic link; move the file itself into in/"),
        FileKind::Other => Err("not read: not a regular file"),
    }
}
