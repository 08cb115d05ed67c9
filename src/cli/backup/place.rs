//! Putting a backup in its place. Nothing that lies there is removed or overwritten: an older state gets a directory of its
//! own, and a file of the spool that is there already stays.
//!
//! First a word is left for the engine that its state may be older than what was sent. Wherever this is cut short, the next
//! start sends no at-most-once delivery whose fate it does not know.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Checked, HEAD, SUMS};
use crate::env::{Files, OsFiles};
use crate::model::Timestamp;
use crate::store;

/// What became of a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    pub state_files: u64,
    pub spool_files: u64,
    /// Files of the spool that were there already.
    pub left: u64,
    /// Where the former state is now.
    pub aside: Option<PathBuf>,
}

/// Parts of a state directory that make it one that is in use.
const STATE_PARTS: [&str; 4] = ["journal", "view", "checkpoint", "marks"];

/// Whether a state lies in `dir`.
pub fn is_in_use(dir: &Path) -> bool {
    STATE_PARTS.iter().any(|part| std::fs::read_dir(dir.join(part)).is_ok_and(|mut entries| entries.next().is_some()))
}

/// Puts what `archive` holds, which was checked, into `state` and `spool`. The caller holds the state's lock.
pub fn place(
    archive: impl Read,
    checked: &Checked,
    (state, spool): (&Path, &Path),
    now: Timestamp,
) -> io::Result<Placed> {
    let files = OsFiles;
    let mut placed = Placed::default();
    let notice = format!(
        "the state is the one of {}, put back by `spoolhook restore`: what was sent after that is sent again at least \
         once, and unknown at most once",
        checked.head.at
    );
    let begun = format!("{notice}. It was not put back as a whole: run `spoolhook restore` again");
    store::owe_answer(&files, state, &begun)?;
    placed.aside = put_aside(&files, state, now)?;
    let mut dirs = std::collections::BTreeSet::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == HEAD || name == SUMS || !checked.files.contains_key(&name) {
            continue;
        }
        let (root, within, is_state) = match (name.strip_prefix("state/"), name.strip_prefix("spool/")) {
            (Some(within), _) => (state, within, true),
            (None, Some(within)) => (spool, within, false),
            (None, None) => continue,
        };
        let path = root.join(within);
        if !is_state && is_there(spool, within) {
            placed.left += 1;
            continue;
        }
        let dir = path.parent().unwrap_or(root).to_owned();
        files.create_dirs(&dir, 0o700)?;
        write_new(&files, &path, &mut entry)?;
        dirs.insert(dir);
        if is_state {
            placed.state_files += 1;
        } else {
            placed.spool_files += 1;
        }
    }
    dirs.iter().try_for_each(|dir| files.sync_dir(dir))?;
    store::owe_restore(&files, state, &notice)?;
    Ok(placed)
}

/// Whether the spool holds the file, be it in another of its directories: segments move from `claimed` to the archive.
fn is_there(spool: &Path, within: &str) -> bool {
    let path = spool.join(within);
    if path.symlink_metadata().is_ok() {
        return true;
    }
    let Some(name) = path.file_name().filter(|_| within.starts_with("claimed/") || within.starts_with("archive/"))
    else {
        return false;
    };
    let days = std::fs::read_dir(spool.join("archive")).into_iter().flatten().flatten().map(|entry| entry.path());
    days.chain([spool.join("claimed")]).any(|dir| dir.join(name).symlink_metadata().is_ok())
}

/// Writes beside, makes it durable, and gives it its name: a restore that is cut short leaves no half file.
fn write_new(files: &OsFiles, path: &Path, content: &mut impl Read) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let draft = path.with_file_name(name);
    match files.unlink(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = files.create(&draft)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            count => file.append(&buffer[..count])?,
        }
    }
    file.sync_data()?;
    drop(file);
    files.rename(&draft, path)
}

/// Moves whatever makes a state into a directory beside it, within the state's own.
fn put_aside(files: &OsFiles, state: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    let keep = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy();
        name == "lock" || name == "recovering" || name.ends_with(".sock") || name.starts_with("before-restore-")
    };
    let entries: Vec<_> = files.list(state)?.into_iter().filter(|entry| !keep(&entry.name)).collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let aside = state.join(format!("before-restore-{}", now.as_secs()));
    files.create_dirs(&aside, 0o700)?;
    for entry in entries {
        files.rename_new(&state.join(&entry.name), &aside.join(&entry.name))?;
    }
    files.sync_dir(&aside)?;
    files.sync_dir(state)?;
    Ok(Some(aside))
}

/// Makes a file that this process wrote durable, and its name.
pub fn make_durable(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => OsFiles.sync_dir(Path::new(".")),
        Some(dir) => OsFiles.sync_dir(dir),
        None => Ok(()),
    }
}
