//! One engine per state directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Holds the state directory for this process until it is dropped or the process ends.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "the kernel's lock lives as long as the descriptor")] File);

/// Why the state directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another spoolhook (pid {pid}) uses the state in {}; stop it, or give this one another [state] dir", dir.display())]
    Held { dir: PathBuf, pid: String },
    #[error("open the lock {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl StateLock {
    /// Takes the lock of `dir`, which must exist.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let io_error = |source| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(LockError::Held { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
        file.set_len(0).map_err(io_error)?;
        file.rewind().map_err(io_error)?;
        writeln!(file, "{}", std::process::id()).map_err(io_error)?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = StateLock::take(dir.path()).unwrap();
        let error = StateLock::take(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(held);
        StateLock::take(dir.path()).unwrap();
    }
}
