//! Which files of a spool a backup needs: whatever is not settled, and what rows still speak of.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::names::parse_segment_name;
use crate::env::{FileKind, Files};
use crate::model::SegmentId;

/// The files of a spool that matter, by their paths within it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub files: Vec<PathBuf>,
    /// Names in `in/`: nobody has taken them in yet, so they are still their producers'.
    pub waiting: u64,
}

/// Lists what lies in `claimed/`, the segments of the archive that are among `needed`, the lines kept of segments that are
/// gone, and the quarantine.
pub fn inventory(files: &dyn Files, spool: &Path, needed: &BTreeSet<SegmentId>) -> io::Result<Inventory> {
    let layout = Layout::of(spool);
    let mut found = Vec::new();
    let mut take = |dir: &Path, is_wanted: &dyn Fn(&std::ffi::OsStr) -> bool| -> io::Result<()> {
        let entries = match files.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let regular = entries.into_iter().filter(|entry| entry.stat.kind == FileKind::Regular);
        found.extend(regular.filter(|entry| is_wanted(&entry.name)).map(|entry| dir.join(entry.name)));
        Ok(())
    };
    take(&layout.claimed, &|_| true)?;
    let is_needed = |name: &std::ffi::OsStr| parse_segment_name(name).is_some_and(|(id, _)| needed.contains(&id));
    for day in layout.archive_days(files)? {
        take(&day, &is_needed)?;
    }
    // Drafts, and room that is held, have names that begin with a point.
    let is_plain = |name: &std::ffi::OsStr| !name.as_encoded_bytes().starts_with(b".");
    take(&layout.remnants, &is_plain)?;
    take(&layout.quarantine, &is_plain)?;
    take(&layout.root, &|name| name == ".spool-id")?;
    let within = |path: PathBuf| path.strip_prefix(&layout.root).map(Path::to_owned).unwrap_or(path);
    let mut files_found: Vec<PathBuf> = found.into_iter().map(within).collect();
    files_found.sort();
    let waiting = files.list(&layout.inbox).map_or(0, |entries| entries.len() as u64);
    Ok(Inventory { files: files_found, waiting })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn settled_segments_stay_behind() {
        let dir = tempfile::tempdir().unwrap();
        let names = [SegmentId(1), SegmentId(2), SegmentId(3)].map(|id| format!("{id}~x.ndjson"));
        let [settled, needed, open] = &names;
        for path in [
            format!("archive/20260312/{settled}"),
            format!("archive/20260312/{needed}"),
            format!("claimed/{open}"),
            "archive/remnants/.x.new".to_owned(),
            "quarantine/q.json".to_owned(),
            "quarantine/.ballast-0".to_owned(),
            "in/a.ndjson".to_owned(),
            ".spool-id".to_owned(),
            ".lock".to_owned(),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let found = inventory(&OsFiles, dir.path(), &BTreeSet::from([SegmentId(2)])).unwrap();
        let expected = [
            ".spool-id".to_owned(),
            format!("archive/20260312/{needed}"),
            format!("claimed/{open}"),
            "quarantine/q.json".to_owned(),
        ];
        assert_eq!(found.files, expected.map(PathBuf::from));
        assert_eq!(found.waiting, 1);
    }
}
