//! The unix socket as a file: made with its final mode, never taken from a living engine, never left behind.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::door::DoorError;
use crate::env::{Files, OsFiles};

/// Why the control plane does not start.
#[derive(Debug, Error)]
pub enum AdminError {
    #[error("another engine answers on {}; stop it, or give this one its own [admin] socket", .0.display())]
    InUse(PathBuf),
    #[error("{} exists and is not a socket; move it away or change [admin] socket", .0.display())]
    NotASocket(PathBuf),
    #[error("cannot listen on {}: {source}", path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("cannot listen on {address}: {source}; change [admin] listen")]
    Tcp { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Door(#[from] DoorError),
    #[error("cannot start the control thread: {0}")]
    Thread(io::Error),
}

/// A bound socket file. Dropping it removes the file, if it is still ours.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode, to tell our file from one that replaced it.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if OsFiles.stat(&self.path).is_ok_and(|stat| (stat.dev, stat.ino) == self.identity) {
            // At worst a stale file stays; the next start replaces it.
            let _ = OsFiles.unlink(&self.path);
        }
    }
}

/// Binds `path` with mode 0660. The socket is bound under a neighbouring name and renamed into place, so that it is
/// never reachable with another mode, and a dead engine's file is replaced in one step.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), AdminError> {
    let failed = |source| AdminError::Socket { path: path.to_owned(), source };
    refuse_living(path)?;
    let fresh = neighbour(path);
    match OsFiles.unlink(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o660)).map_err(failed)?;
    let stat = OsFiles.stat(&fresh).map_err(failed)?;
    OsFiles.rename(&fresh, path).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), identity: (stat.dev, stat.ino) }))
}

/// The name with its last letter turned into `~`: no longer than the other, since the kernel allows 107 bytes only.
fn neighbour(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut letters = name.chars();
    letters.next_back();
    path.with_file_name(format!("{}~", letters.as_str()))
}

fn refuse_living(path: &Path) -> Result<(), AdminError> {
    match UnixStream::connect(path) {
        Ok(_) => Err(AdminError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            use std::os::unix::fs::FileTypeExt;
            match fs::symlink_metadata(path) {
                Ok(metadata) if !metadata.file_type().is_socket() => Err(AdminError::NotASocket(path.to_owned())),
                _ => Ok(()),
            }
        }
        Err(source) => Err(AdminError::Socket { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_group_only_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let (_listener, file) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_living_engine_keeps_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let (_listener, _file) = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(AdminError::InUse(_))));
    }

    #[test]
    fn a_dead_engine_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(bind(&path).is_ok());
    }

    #[test]
    fn the_longest_path_there_is_works() {
        let dir = tempfile::tempdir().unwrap();
        let room = 107 - dir.path().as_os_str().len() - 1;
        let path = dir.path().join("s".repeat(room));
        assert!(bind(&path).is_ok());
        assert!(matches!(bind(&dir.path().join("s".repeat(room + 1))), Err(AdminError::Socket { .. })));
    }

    #[test]
    fn other_files_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(bind(&path), Err(AdminError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
