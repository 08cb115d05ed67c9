//! The only file of this room that touches the disk: whole, small files, symbolic links followed (that is how
//! credentials are mounted).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// No configuration, secret or certificate is larger than this.
const MAX_BYTES: u64 = 16 << 20;

/// A file's bytes.
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// Whether its mode lets every user read it.
    pub(super) world_readable: bool,
}

/// Reads a regular file of at most 16 MiB.
pub(super) fn read(path: &Path) -> io::Result<Content> {
    // Asked before opening, because opening a FIFO waits for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    let world_readable = file.metadata()?.permissions().mode() & 0o004 != 0;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(Content { bytes, world_readable })
}

/// Reads a file as UTF-8 text.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let content = read(path)?;
    String::from_utf8(content.bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

/// What the system says, without its number.
pub(super) fn say(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The `*.toml` files of `dir` in name order, hidden ones left out; none when there is no such directory.
pub(super) fn toml_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".toml") && !text.starts_with('.') {
            paths.push(dir.join(&name));
        }
    }
    paths.sort();
    Ok(paths)
}
