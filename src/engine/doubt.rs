//! Why the line stops, and whether it may go on once the cause is gone.

use std::error::Error;
use std::io::{self, ErrorKind};

/// What is behind a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The disk, or a quota on it, is full (ENOSPC, EDQUOT).
    Space,
    /// This process, or the machine, has no file descriptor left (EMFILE, ENFILE).
    Descriptors,
    /// A disk that fails or may not be written, or data that somebody changed.
    Io,
    /// Our own mistake: a thread panicked or does not go on.
    Bug,
}

impl Cause {
    /// What an error and those beneath it say. Without an I/O error among them it is data that does not read back.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return Self::of_io(io);
            }
            next = error.source();
        }
        Self::Io
    }

    fn of_io(error: &io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (ErrorKind::StorageFull | ErrorKind::QuotaExceeded, _) => Self::Space,
            (_, Some(libc::EMFILE | libc::ENFILE)) => Self::Descriptors,
            _ => Self::Io,
        }
    }

    /// It may end by itself, and starting again from what is on disk is safe then: nothing of it is remembered by the
    /// kernel. A failed device is not among these: what its page cache shows after an error is not what it holds.
    pub fn passes(self) -> bool {
        matches!(self, Self::Space | Self::Descriptors)
    }
}

/// Durability is in doubt: the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub reason: String,
    pub cause: Cause,
}

impl Doubt {
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self { reason: error.to_string(), cause: Cause::of(error) }
    }

    pub fn bug(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), cause: Cause::Bug }
    }
}

impl<E: Error + 'static> From<E> for Doubt {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::store::StateError;

    #[test]
    fn the_cause_is_found_beneath_what_wraps_it() {
        let failed = |errno| StateError::Io {
            action: "append to",
            path: PathBuf::from("/state/journal"),
            source: io::Error::from_raw_os_error(errno),
        };
        let cause = |errno| Doubt::from(failed(errno)).cause;
        assert_eq!([libc::ENOSPC, libc::EDQUOT].map(cause), [Cause::Space; 2]);
        assert_eq!([libc::EMFILE, libc::ENFILE].map(cause), [Cause::Descriptors; 2]);
        assert_eq!([libc::EIO, libc::EROFS].map(cause), [Cause::Io; 2]);
        let told_only = io::Error::new(ErrorKind::StorageFull, "the quarantine cannot be written");
        assert_eq!(Cause::of(&told_only), Cause::Space);
    }
}
