//! Small files that are written anew as a whole.

use std::io;
use std::path::Path;

use super::files::Files;

/// Puts `bytes` (mode 0600) in the place of what `path` held, durably: whoever reads it, after a power cut too, finds the
/// old content or the new one whole. The directory must exist, and one writer at a time is assumed.
pub fn replace(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push("~");
    let draft = path.with_file_name(name);
    match files.unlink(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = files.create(&draft)?;
    file.append(bytes)?;
    file.sync_data()?;
    drop(file);
    files.rename(&draft, path)?;
    path.parent().map_or(Ok(()), |dir| files.sync_dir(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn a_file_is_replaced_also_beside_a_draft_that_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        replace(&OsFiles, &path, b"one").unwrap();
        std::fs::write(dir.path().join("tokens.json~"), "half").unwrap();
        replace(&OsFiles, &path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
