//! What stops the taking-in of events altogether. Troubles of single files are `Problem`s instead: they are waited out.

use std::io;
use std::path::PathBuf;

/// Why the spool cannot be used, or must not be used any longer.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("{dir} is in use by another spoolhook; stop that one, or give this one a spool of its own", dir = dir.display())]
    Locked { dir: PathBuf },
    #[error("cannot set up the spool at {path}: {source}; check the directory's owner and mode", path = path.display())]
    Layout { path: PathBuf, source: io::Error },
    #[error("{path} lies on another file system than the spool; keep all of the spool on one, renames must be atomic", path = path.display())]
    OtherFileSystem { path: PathBuf },
    /// Bytes or names may not have reached the disk. The same call must not be tried again: the kernel reports such an
    /// error once and then forgets the pages. Open the spool anew from what is durable.
    #[error("cannot make {path} durable: {source}; check the disk, then restart", path = path.display())]
    Durability { path: PathBuf, source: io::Error },
    #[error("taking in events has stopped after an earlier error; restart once its cause is gone")]
    Stopped,
}

impl IngestError {
    pub(super) fn layout(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| IngestError::Layout { path, source }
    }

    pub(super) fn durability(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| IngestError::Durability { path, source }
    }
}
