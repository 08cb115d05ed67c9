//! How far a file of a log was copied, and by what it is known again.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::env::ReadFile;
use crate::ingest::framing::read_range;

/// Bytes that stand for a file at its head and before the cursor.
pub(super) const PRINT_LEN: u64 = 256;

/// How far one file of a `[[log]]` was copied. It is kept in the journal with the batch that carried it; a later cursor
/// of the same `key` replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCursor {
    /// `LogSettings::name`.
    pub log: String,
    /// File name in the log's directory when last seen.
    pub name: Vec<u8>,
    pub dev: u64,
    pub ino: u64,
    /// Everything before this offset is in segments of our own.
    pub offset: u64,
    /// The bytes just before `offset`.
    pub guard: Print,
    /// The first bytes of the file.
    pub head: Print,
    /// The file is gone and fully copied: forget the key.
    pub finished: bool,
}

impl LogCursor {
    /// What tells the cursors of a moment apart.
    pub fn key(&self) -> (&str, u64, u64) {
        (&self.log, self.dev, self.ino)
    }

    /// Whether `file` still holds what was read of it: the same first bytes and the same bytes before the offset.
    pub(super) fn fits(&self, file: &dyn ReadFile) -> io::Result<bool> {
        if file.stat()?.len < self.offset {
            return Ok(false);
        }
        let guard = Print::read(file, self.offset - u64::from(self.guard.len), self.offset)?;
        Ok(guard == self.guard && Print::read(file, 0, u64::from(self.head.len))? == self.head)
    }
}

/// A hash of a few bytes: SHA-256, cut to 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    pub len: u32,
    pub hash: [u8; 16],
}

impl Print {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(bytes)[..16]);
        Self { len: u32::try_from(bytes.len()).unwrap_or(u32::MAX), hash }
    }

    pub(super) fn read(file: &dyn ReadFile, start: u64, end: u64) -> io::Result<Self> {
        let mut bytes = Vec::new();
        read_range(file, start, end - start, &mut bytes)?;
        Ok(Self::of(&bytes))
    }

    /// The print of what lies before `offset`.
    pub(super) fn before(file: &dyn ReadFile, offset: u64) -> io::Result<Self> {
        Self::read(file, offset.saturating_sub(PRINT_LEN), offset)
    }
}
