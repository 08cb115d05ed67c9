//! Reading an archive and believing none of it until every digest fits.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::{FORMAT, HEAD, Head, SUMS};
use crate::model::hex;

/// An archive that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub head: Head,
    /// Names and lengths, without the archive's own two.
    pub files: BTreeMap<String, u64>,
}

/// Reads all of it. `Err(sentence)` when it is no whole backup.
pub fn check(archive: impl Read) -> io::Result<Result<Checked, String>> {
    let mut head = None;
    let (mut digests, mut files) = (BTreeMap::new(), BTreeMap::new());
    let mut sums = None;
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = match entry {
            // The error quotes what it read, which may be anything.
            Err(_) => return Ok(Err("it is cut off, or no tar archive".to_owned())),
            Ok(entry) => entry,
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !is_plain(&name) || !entry.header().entry_type().is_file() {
            return Ok(Err(format!("\"{name}\" is no file of a backup")));
        }
        let mut hash = Sha256::new();
        let mut kept = Vec::new();
        let is_ours = name == HEAD || name == SUMS;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match entry.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Ok(Err(format!("{name} is cut off: {error}"))),
            };
            hash.update(&buffer[..count]);
            if is_ours {
                kept.extend_from_slice(&buffer[..count]);
            }
        }
        match name.as_str() {
            SUMS => sums = Some(String::from_utf8_lossy(&kept).into_owned()),
            _ => {
                if name == HEAD {
                    head = serde_json::from_slice::<Head>(&kept).ok();
                } else {
                    files.insert(name.clone(), entry.size());
                }
                digests.insert(name, hex(&hash.finalize()));
            }
        }
    }
    Ok(judge(head, files, &digests, sums.as_deref()))
}

fn judge(
    head: Option<Head>,
    files: BTreeMap<String, u64>,
    digests: &BTreeMap<String, String>,
    sums: Option<&str>,
) -> Result<Checked, String> {
    let head = head.ok_or_else(|| format!("there is no {HEAD} in it: it is no backup"))?;
    if head.format != FORMAT {
        return Err(format!("it has format {}, this program reads format {FORMAT}", head.format));
    }
    let sums = sums.ok_or_else(|| format!("there is no {SUMS} at its end: it is not whole"))?;
    let expected: BTreeMap<&str, &str> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(digest, name)| (name, digest)).collect();
    for (name, digest) in &expected {
        if digests.get(*name).map(String::as_str) != Some(*digest) {
            return Err(format!("{name} is missing or not what was written"));
        }
    }
    match digests.keys().find(|name| !expected.contains_key(name.as_str())) {
        Some(name) => Err(format!("{name} was added to it")),
        None => Ok(Checked { head, files }),
    }
}

/// A name that stays below the directory it is put into, and lies where backups put things.
fn is_plain(name: &str) -> bool {
    let is_normal = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let is_ours = name == HEAD || name == SUMS || name.starts_with("state/") || name.starts_with("spool/");
    is_normal && is_ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{BackupFile, BackupPlan};
    use crate::cli::backup::hold;
    use crate::model::Timestamp;

    fn archive(dir: &Path) -> Vec<u8> {
        let path = dir.join("a.journal");
        std::fs::write(&path, "whole, and what came later").unwrap();
        let file = BackupFile {
            name: "state/journal/a.journal".into(),
            path: path.display().to_string(),
            bytes: 5,
            sha256: None,
        };
        let plan = BackupPlan { at: Timestamp(1_773_309_600_000), record: 7, waiting_files: 0, files: vec![file] };
        let mut out = Vec::new();
        hold(&plan).unwrap().unwrap().write(&mut out).unwrap().unwrap();
        out
    }

    #[test]
    fn what_is_written_reads_back_up_to_its_moment() {
        let dir = tempfile::tempdir().unwrap();
        let checked = check(&*archive(dir.path())).unwrap().unwrap();
        assert_eq!(checked.head.record, 7);
        assert_eq!(checked.files, BTreeMap::from([("state/journal/a.journal".to_owned(), 5)]));
    }

    #[test]
    fn any_flip_and_any_cut_in_what_counts_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let whole = archive(dir.path());
        let content = whole.windows(5).position(|bytes| bytes == b"whole").unwrap();
        let mut flipped = whole.clone();
        flipped[content] ^= 1;
        assert!(check(&*flipped).unwrap().is_err_and(|reason| reason.contains("a.journal")));
        for cut in (0..content + 512).step_by(128) {
            assert!(check(&whole[..cut]).map_or(true, |found| found.is_err()), "cut at {cut}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place() {
        for name in ["../x", "/etc/passwd", "state/../../x", "other/x"] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(is_plain("spool/claimed/x.ndjson"));
    }
}
