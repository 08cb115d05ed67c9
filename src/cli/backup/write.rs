//! Writing an archive. Files that may be replaced meanwhile are opened first, and looked at: what is open stays what it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, Write};

use sha2::{Digest, Sha256};

use super::{FORMAT, HEAD, Head, SUMS};
use crate::admin::api::{BackupFile, BackupPlan};
use crate::model::hex;

/// A file is not what the plan says any more: the engine has moved, removed or replaced it. Another plan is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed(pub String);

/// Reads and digests; more than what is there is nothing.
struct Digesting<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

fn header(bytes: u64, at_s: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(at_s);
    header
}

/// A plan, and those of its files that would not wait to be copied.
pub struct Held<'a> {
    plan: &'a BackupPlan,
    files: HashMap<&'a str, File>,
}

/// Opens what may be replaced, or removed, while the rest is copied.
pub fn hold(plan: &BackupPlan) -> io::Result<Result<Held<'_>, Changed>> {
    let mut files = HashMap::new();
    for file in plan.files.iter().filter(|file| file.sha256.is_some() || file.name.starts_with("state/replays/")) {
        let Some(mut open) = open(file)? else { return Ok(Err(Changed(file.name.clone()))) };
        if let Some(expected) = &file.sha256 {
            let mut content = Digesting { inner: (&open).take(file.bytes), hash: Sha256::new(), bytes: 0 };
            io::copy(&mut content, &mut io::sink())?;
            if hex(&content.hash.finalize()) != *expected {
                return Ok(Err(Changed(file.name.clone())));
            }
            open.rewind()?;
        }
        files.insert(file.name.as_str(), open);
    }
    Ok(Ok(Held { plan, files }))
}

/// The file, unless it is gone or has become shorter.
fn open(file: &BackupFile) -> io::Result<Option<File>> {
    let open = match File::open(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    // One that was cut meanwhile must not shift what follows.
    Ok((open.metadata()?.len() >= file.bytes).then_some(open))
}

impl Held<'_> {
    /// Writes everything in the plan to `out`.
    pub fn write(mut self, out: impl Write) -> io::Result<Result<(), Changed>> {
        let plan = self.plan;
        let at_s = u64::try_from(plan.at.as_secs()).unwrap_or(0);
        let mut archive = tar::Builder::new(out);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let head = Head { format: FORMAT, version, at: plan.at.to_string(), record: plan.record };
        let head = serde_json::to_vec(&head)?;
        let mut sums = format!("{}  {HEAD}\n", hex(&Sha256::digest(&head)));
        archive.append_data(&mut header(head.len() as u64, at_s), HEAD, &*head)?;
        for file in &plan.files {
            let held = self.files.remove(file.name.as_str());
            let Some(open) = held.map_or_else(|| open(file), |held| Ok(Some(held)))? else {
                return Ok(Err(Changed(file.name.clone())));
            };
            let mut content = Digesting { inner: open.take(file.bytes), hash: Sha256::new(), bytes: 0 };
            archive.append_data(&mut header(file.bytes, at_s), &file.name, &mut content)?;
            let digest = hex(&content.hash.finalize());
            if content.bytes != file.bytes || file.sha256.as_ref().is_some_and(|expected| *expected != digest) {
                return Ok(Err(Changed(file.name.clone())));
            }
            sums.push_str(&format!("{digest}  {}\n", file.name));
        }
        archive.append_data(&mut header(sums.len() as u64, at_s), SUMS, sums.as_bytes())?;
        archive.into_inner()?.flush()?;
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::cli::backup::check;
    use crate::engine::backup;
    use crate::env::{Files, OsFiles, replace};
    use crate::model::Timestamp;
    use crate::store::State;

    const NOON: Timestamp = Timestamp(1_773_309_600_000);

    /// A state with tokens and a replay that is under way, and its plan.
    fn state(dir: &Path) -> (State, BackupPlan) {
        for made in ["replays", "spool/archive"] {
            std::fs::create_dir_all(dir.join(made)).unwrap();
        }
        for name in ["tokens.json", "webhooks.toml", "replays/a.json", "replays/a.list", "replays/a.marks"] {
            replace(&OsFiles, &dir.join(name), b"{\"as\": \"planned\"}").unwrap();
        }
        let (state, _) = State::open(Arc::new(OsFiles), dir, NOON).unwrap();
        let plan = plan(&state);
        (state, plan)
    }

    fn plan(state: &State) -> BackupPlan {
        let plan = backup::plan(&state.reader(), state.dir(), &state.dir().join("spool"), NOON);
        plan.unwrap_or_else(|error| panic!("{error}"))
    }

    fn archive(plan: &BackupPlan) -> Result<Vec<u8>, Changed> {
        let mut out = Vec::new();
        hold(plan).unwrap()?.write(&mut out).unwrap().map(|()| out)
    }

    #[test]
    fn a_file_that_was_replaced_since_the_plan_is_never_taken_for_the_one_in_it() {
        for name in ["tokens.json", "webhooks.toml", "replays/a.json", "replays/a.marks"] {
            // Longer, so long, and shorter; and twice, which may bring the inode back.
            for contents in
                [&["{\"and\": \"now a longer one\"}"][..], &["{\"as\": \"changed\"}"], &["{}"], &["{}", "{ }"]]
            {
                let dir = tempfile::tempdir().unwrap();
                let (state, before) = state(dir.path());
                for content in contents {
                    replace(&OsFiles, &dir.path().join(name), content.as_bytes()).unwrap();
                }
                assert_eq!(archive(&before), Err(Changed(format!("state/{name}"))), "{contents:?}");
                // Asked anew, the whole of it is in.
                let after = plan(&state);
                let file = after.files.iter().find(|file| file.name == format!("state/{name}")).unwrap();
                assert_eq!(Some(file.bytes), contents.last().map(|content| content.len() as u64));
                assert!(check(&*archive(&after).unwrap()).unwrap().is_ok());
            }
        }
    }

    #[test]
    fn what_is_replaced_or_removed_while_the_rest_is_copied_is_in_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (_state, plan) = state(dir.path());
        let held = hold(&plan).unwrap().unwrap();
        replace(&OsFiles, &dir.path().join("tokens.json"), b"{\"quite\": \"another\"}").unwrap();
        OsFiles.unlink(&dir.path().join("replays/a.list")).unwrap();
        let mut out = Vec::new();
        held.write(&mut out).unwrap().unwrap();
        assert!(check(&*out).unwrap().is_ok());
        assert!(!out.windows(7).any(|bytes| bytes == b"another"));
    }
}
