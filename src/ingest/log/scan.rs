//! Comparing a log's directory with what is open and what the cursors say: who was renamed, who is gone, who is new.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use crate::env::{DirEntry, FileKind};
use crate::ingest::status::ProblemKind;

use super::copy::{Attached, Standing};
use super::cursor::LogCursor;
use super::glob;
use super::source::{CopyRun, LogSource, MAX_OPEN, Parked};

/// Compressed copies that rotation leaves; their bytes are no lines.
const COMPRESSED: [&[u8]; 5] = [b".gz", b".zst", b".xz", b".bz2", b".lz4"];

/// How long a cursor is kept whose file is not there.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

impl LogSource {
    /// Lists the directory and opens what has something to read.
    pub(super) fn scan(&mut self, run: &mut CopyRun<'_>) -> io::Result<()> {
        let mut entries = run.files.list(&self.settings.dir)?;
        entries.retain(|entry| entry.stat.kind == FileKind::Regular);
        entries.sort_by(|a, b| (a.stat.mtime_ns, &a.name).cmp(&(b.stat.mtime_ns, &b.name)));
        let mut by_inode: HashMap<(u64, u64), &DirEntry> = HashMap::new();
        for entry in &entries {
            let known = by_inode.entry((entry.stat.dev, entry.stat.ino)).or_insert(entry);
            if self.wants(&entry.name) && !self.wants(&known.name) {
                *known = entry;
            }
        }
        for file in &mut self.attached {
            file.standing = match by_inode.get(&(file.dev, file.ino)) {
                None => Standing::Gone,
                Some(entry) => {
                    file.name.clone_from(&entry.name);
                    if file.name == file.first_name && wants(&self.settings.pattern, &file.name) {
                        Standing::Live
                    } else {
                        Standing::Renamed
                    }
                }
            };
        }
        self.forget_missing(&by_inode, run);
        for entry in &entries {
            let key = (entry.stat.dev, entry.stat.ino);
            let is_chosen = by_inode.get(&key).is_some_and(|chosen| chosen.name == entry.name);
            if !is_chosen || self.attached.iter().any(|file| (file.dev, file.ino) == key) {
                continue;
            }
            if self.attached.len() >= MAX_OPEN {
                break;
            }
            self.consider(entry, run);
        }
        Ok(())
    }

    /// Cursors outlive the absence of their files for a while: a file system may not be mounted yet.
    fn forget_missing(&mut self, by_inode: &HashMap<(u64, u64), &DirEntry>, run: &mut CopyRun<'_>) {
        let missing: Vec<_> = self.parked.keys().filter(|key| !by_inode.contains_key(key)).copied().collect();
        for key in missing {
            // A device number may differ after a reboot (NFS, device mapper); the inode and the bytes decide then.
            let twin = by_inode.keys().find(|now| now.1 == key.1 && !self.parked.contains_key(now)).copied();
            let parked = self.parked.get_mut(&key).expect("listed above");
            let since = *parked.missing_since.get_or_insert(run.at);
            if twin.is_none() && run.at < since + FORGET_AFTER {
                continue;
            }
            let Parked { cursor, .. } = self.parked.remove(&key).expect("listed above");
            run.cursors.push(LogCursor { finished: true, ..cursor.clone() });
            if let Some((dev, _)) = twin {
                let cursor = LogCursor { dev, ..cursor };
                run.cursors.push(cursor.clone());
                self.park(cursor);
            }
        }
    }

    /// Opens a file that is not open, if there is something to read in it.
    fn consider(&mut self, entry: &DirEntry, run: &mut CopyRun<'_>) {
        let key = (entry.stat.dev, entry.stat.ino);
        let path = self.settings.dir.join(&entry.name);
        let known = self.parked.get(&key);
        let is_unchanged = known.is_some_and(|known| {
            known.cursor.offset == entry.stat.len && known.checked_mtime == Some(entry.stat.mtime_ns)
        });
        let is_none_of_ours = known.is_none() && (entry.stat.len == 0 || !self.wants(&entry.name));
        if is_unchanged || is_none_of_ours {
            return;
        }
        match self.attach(entry, known.map(|known| &known.cursor), run) {
            Ok(Some(file)) if file.offset == entry.stat.len && known.is_some() => {
                let known = self.parked.get_mut(&key).expect("looked up above");
                known.checked_mtime = Some(entry.stat.mtime_ns);
                known.missing_since = None;
            }
            Ok(Some(file)) => {
                self.parked.remove(&key);
                // Known from the first look on: it may be renamed to any name before a whole line is in it.
                run.cursors.push(file.cursor(&self.settings.name, false));
                self.attached.push(file);
                run.problems.clear(ProblemKind::Unreadable, &path);
            }
            Ok(None) => {
                if let Some(parked) = self.parked.remove(&key) {
                    run.cursors.push(LogCursor { finished: true, ..parked.cursor });
                }
            }
            Err(error) => {
                let detail = format!("cannot be read: {error}; give the engine's user access to it");
                run.problems.set(ProblemKind::Unreadable, &path, detail, run.now);
            }
        }
    }

    fn attach(
        &self,
        entry: &DirEntry,
        known: Option<&LogCursor>,
        run: &mut CopyRun<'_>,
    ) -> io::Result<Option<Attached>> {
        let path = self.settings.dir.join(&entry.name);
        let file = run.files.open(&path)?;
        let mut first_name = entry.name.clone();
        let mut offset = 0;
        match known {
            Some(cursor) if cursor.fits(file.as_ref())? => {
                offset = cursor.offset;
                first_name = OsString::from_vec(cursor.name.clone());
            }
            Some(_) if !self.wants(&entry.name) => return Ok(None),
            Some(cursor) => {
                let detail = format!(
                    "not the file whose first {} bytes were read before (its inode number was used again, or it was rewritten): read from its start",
                    cursor.offset
                );
                run.problems.set(ProblemKind::Replaced, &path, detail, run.now);
            }
            None => {}
        }
        let mut attached = Attached::new(file, entry.name.clone(), first_name, offset, run.at)?;
        if attached.name != attached.first_name || !self.wants(&attached.name) {
            attached.standing = Standing::Renamed;
        }
        Ok(Some(attached))
    }

    fn wants(&self, name: &OsStr) -> bool {
        wants(&self.settings.pattern, name)
    }
}

fn wants(pattern: &str, name: &OsStr) -> bool {
    let name = name.as_bytes();
    glob::fits(pattern.as_bytes(), name) && !COMPRESSED.iter().any(|suffix| name.ends_with(suffix))
}
