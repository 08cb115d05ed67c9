//! What a backup consists of. Journal and checkpoints only grow, and are complete at every end of a commit: their names and
//! lengths between two commits are a snapshot, and whoever copies so many bytes of them copies that moment.
//!
//! Other files of the state are replaced as a whole, at any time: a new one has the old name. The plan says what is in them,
//! as a digest, so that whoever copies notices.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crossbeam_channel::bounded;
use sha2::{Digest, Sha256};

use super::messages::{Entry, Then};
use super::running::Shared;
use crate::admin::api::{BackupFile, BackupPlan};
use crate::env::{FileKind, Files, ReadFile};
use crate::ingest::inventory;
use crate::model::{Timestamp, hex};
use crate::store::{StateReader, ViewError};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("the engine has stopped")]
    Stopped,
    #[error("look at {place}: {source}")]
    Io { place: String, source: io::Error },
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Directories of the state that hold what is decided; the view is made again from them.
const KEPT_DIRS: [&str; 2] = ["journal", "checkpoint"];
/// Bytes read at a time for a digest.
const BLOCK: usize = 64 << 10;

/// Names in the state directory that belong to a running process or to a recovery.
fn is_passing(name: &str) -> bool {
    name == "lock"
        || name == "recovering"
        || name.ends_with('~')
        || name.starts_with(".room")
        || name.ends_with(".tmp")
        || name.contains(".damaged-")
}

/// The plan of a running engine, made between two commits.
pub(super) fn online(shared: &Shared) -> Result<BackupPlan, BackupError> {
    let (answer, wait) = bounded(1);
    let (spool, now) = (shared.config().spool.dir.clone(), shared.clock.now());
    let look = Then::Inspect(Box::new(move |state: &crate::store::State| {
        let _ = answer.send(moment(&state.reader(), state.dir(), &spool, now));
    }));
    shared.entries.send(Entry::new(Vec::new(), look)).map_err(|_| BackupError::Stopped)?;
    // The committer goes on; what is open stays what it was.
    wait.recv().map_err(|_| BackupError::Stopped)??.digested()
}

/// The plan of a state that nobody changes meanwhile.
pub fn plan(state: &StateReader, dir: &Path, spool: &Path, now: Timestamp) -> Result<BackupPlan, BackupError> {
    moment(state, dir, spool, now)?.digested()
}

/// A file that may be replaced, open.
type Open = (BackupFile, Box<dyn ReadFile>);

/// A plan whose digests are still missing, and the open files that they are of. An open file stays the one it was, and what
/// was in it stays in it.
struct Moment {
    plan: BackupPlan,
    open: Vec<Open>,
}

impl Moment {
    fn digested(self) -> Result<BackupPlan, BackupError> {
        let Self { mut plan, open } = self;
        for (mut file, content) in open {
            let failed = |source| BackupError::Io { place: file.path.clone(), source };
            let (bytes, digest) = digest(&*content, file.bytes).map_err(failed)?;
            (file.bytes, file.sha256) = (bytes, Some(digest));
            plan.files.push(file);
        }
        plan.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(plan)
    }
}

/// The first `bytes` bytes of a file, or as many as there are: how many, and their SHA-256.
fn digest(content: &dyn ReadFile, bytes: u64) -> io::Result<(u64, String)> {
    let (mut hash, mut at) = (Sha256::new(), 0);
    let mut buffer = vec![0; BLOCK];
    while at < bytes {
        let wanted = usize::try_from(bytes - at).unwrap_or(BLOCK).min(BLOCK);
        match content.read_at(&mut buffer[..wanted], at)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                at += count as u64;
            }
        }
    }
    Ok((at, hex(&hash.finalize())))
}

fn moment(state: &StateReader, dir: &Path, spool: &Path, now: Timestamp) -> Result<Moment, BackupError> {
    let files = &*state.files;
    let (mut parts, mut open) = (Vec::new(), Vec::new());
    for sub in KEPT_DIRS {
        for (name, len) in regular(files, &dir.join(sub))? {
            parts.push(part(dir, &Path::new(sub).join(name), len));
        }
    }
    for (name, _) in regular(files, dir)? {
        open.extend(held(files, dir, Path::new(&name))?);
    }
    replays(files, dir, &mut parts, &mut open)?;
    let (lsn, mut needed): (u64, BTreeSet<_>) = {
        let ledger = state.ledger();
        (ledger.lsn, ledger.extents.segments_from(ledger.settled_below()))
    };
    needed.extend(state.view.pinned_segments()?);
    let failed = |source| BackupError::Io { place: spool.display().to_string(), source };
    let found = inventory(files, spool, &needed).map_err(failed)?;
    for within in found.files {
        let path = spool.join(&within);
        // Segments move while the engine runs: who copies finds out.
        let Ok(stat) = files.stat(&path) else { continue };
        let name = Path::new("spool").join(&within).display().to_string();
        parts.push(BackupFile { name, path: path.display().to_string(), bytes: stat.len, sha256: None });
    }
    Ok(Moment { plan: BackupPlan { at: now, record: lsn, waiting_files: found.waiting, files: parts }, open })
}

/// The files of replays. Of one that is under way what is kept of it and its marks are replaced now and then; its list never
/// is, and goes once its end is written: it is looked for first, so that a plan without a list has the end.
fn replays(
    files: &dyn Files,
    dir: &Path,
    parts: &mut Vec<BackupFile>,
    open: &mut Vec<Open>,
) -> Result<(), BackupError> {
    let within = Path::new("replays");
    for (name, _) in regular(files, &dir.join(within))? {
        let Some(id) = name.strip_suffix(".json") else { continue };
        let [info, list, marks] = ["json", "list", "marks"].map(|part| within.join(format!("{id}.{part}")));
        match stat_len(files, &dir.join(&list))? {
            None => parts.extend(stat_len(files, &dir.join(&info))?.map(|len| part(dir, &info, len))),
            Some(len) => {
                parts.push(part(dir, &list, len));
                for replaced in [info, marks] {
                    open.extend(held(files, dir, &replaced)?);
                }
            }
        }
    }
    Ok(())
}

fn part(dir: &Path, within: &Path, bytes: u64) -> BackupFile {
    let name = Path::new("state").join(within).display().to_string();
    BackupFile { name, path: dir.join(within).display().to_string(), bytes, sha256: None }
}

/// Names and lengths of the regular files in `dir` that belong into a backup.
fn regular(files: &dyn Files, dir: &Path) -> Result<Vec<(String, u64)>, BackupError> {
    let entries = match files.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(|source| BackupError::Io { place: dir.display().to_string(), source })?,
    };
    let kept = entries.into_iter().filter(|entry| entry.stat.kind == FileKind::Regular);
    let named = kept.filter_map(|entry| Some((entry.name.to_str()?.to_owned(), entry.stat.len)));
    Ok(named.filter(|(name, _)| !is_passing(name)).collect())
}

fn stat_len(files: &dyn Files, path: &Path) -> Result<Option<u64>, BackupError> {
    unless_gone(path, files.stat(path).map(|stat| stat.len))
}

/// A file that may be replaced, open and with its length.
fn held(files: &dyn Files, dir: &Path, within: &Path) -> Result<Option<Open>, BackupError> {
    let path = dir.join(within);
    let open = files.open(&path).and_then(|content| Ok((content.stat()?.len, content)));
    Ok(unless_gone(&path, open)?.map(|(len, content)| (part(dir, within, len), content)))
}

fn unless_gone<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, BackupError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BackupError::Io { place: path.display().to_string(), source }),
        Ok(value) => Ok(Some(value)),
    }
}
