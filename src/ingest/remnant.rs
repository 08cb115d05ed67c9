//! Single lines of a segment whose file is gone. Owns the format of `archive/remnants/<ULID>`:
//!
//! ```text
//! file   = "spoolrm1" *frame
//! frame  = offset  u64 LE   the line's place in the segment
//!          len     u32 LE
//!          crc     u32 LE   CRC-32 (IEEE) of offset, len and line
//!          line    len bytes, without line end
//! ```

use std::io;
use std::path::{Path, PathBuf};

use crate::env::Files;
use crate::model::SegmentId;

use super::error::IngestError;
use super::framing::Content;
use super::layout::{Layout, ignore_missing};
use super::lookup::line_at;

const MAGIC: &[u8; 8] = b"spoolrm1";
const HEADER: usize = 16;

pub(super) enum WriteError {
    Passing(io::Error),
    Fatal(IngestError),
}

pub(super) fn path(layout: &Layout, id: SegmentId) -> PathBuf {
    layout.remnants.join(id.to_string())
}

/// Keeps the lines of `segment` that begin at `offsets`; durable on return.
pub(super) fn write(
    files: &dyn Files,
    layout: &Layout,
    id: SegmentId,
    segment: &Path,
    offsets: &[u64],
) -> Result<(), WriteError> {
    let target = path(layout, id);
    let draft = layout.remnants.join(format!(".{id}.new"));
    let gather = || -> io::Result<Box<dyn crate::env::AppendFile>> {
        let file = files.open(segment)?;
        ignore_missing(files.unlink(&draft))?;
        let mut remnant = files.create(&draft)?;
        remnant.append(MAGIC)?;
        let mut buffer = Vec::new();
        for &offset in offsets {
            if let Some(Content::Text(line)) = line_at(file.as_ref(), offset, &mut buffer)? {
                remnant.append(&frame(offset, line))?;
            }
        }
        Ok(remnant)
    };
    let mut remnant = gather().map_err(WriteError::Passing)?;
    remnant.sync_data().map_err(|error| WriteError::Fatal(IngestError::durability(&draft)(error)))?;
    files.rename(&draft, &target).map_err(WriteError::Passing)?;
    files
        .sync_dir(&layout.remnants)
        .map_err(|error| WriteError::Fatal(IngestError::durability(&layout.remnants)(error)))
}

/// The line that began at `offset`, if it was kept.
pub(super) fn read(files: &dyn Files, layout: &Layout, id: SegmentId, offset: u64) -> io::Result<Option<Vec<u8>>> {
    match files.read(&path(layout, id)) {
        Ok(bytes) => find(&bytes, offset),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn frame(offset: u64, line: &[u8]) -> Vec<u8> {
    let len = u32::try_from(line.len()).expect("lines are far below 4 GiB");
    let mut frame = Vec::with_capacity(HEADER + line.len());
    frame.extend_from_slice(&offset.to_le_bytes());
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&checksum(&frame, line).to_le_bytes());
    frame.extend_from_slice(line);
    frame
}

fn checksum(head: &[u8], line: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(line);
    hasher.finalize()
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the remnant file is damaged")
}

/// Every line in order of its place, as far as they read back.
pub(super) fn lines(bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found: Vec<(u64, Vec<u8>)> = Vec::new();
    let Ok(mut rest) = start(bytes) else { return found };
    while let Ok(Some(next)) = split(rest) {
        if let Ok(line) = next.line() {
            found.push((next.offset, line));
        }
        rest = next.rest;
    }
    found.sort();
    found.dedup_by_key(|(offset, _)| *offset);
    found
}

/// One frame, its checksum not yet looked at.
struct Split<'a> {
    offset: u64,
    head: &'a [u8],
    line: &'a [u8],
    rest: &'a [u8],
}

impl Split<'_> {
    fn line(&self) -> io::Result<Vec<u8>> {
        let is_whole = u64::from(checksum(&self.head[..12], self.line)) == number(&self.head[12..16]);
        if is_whole { Ok(self.line.to_vec()) } else { Err(damaged()) }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0u64, |value, &byte| (value << 8) | u64::from(byte))
}

fn start(bytes: &[u8]) -> io::Result<&[u8]> {
    bytes.strip_prefix(MAGIC).ok_or_else(damaged)
}

fn split(bytes: &[u8]) -> io::Result<Option<Split<'_>>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (head, after) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
    let len = usize::try_from(number(&head[8..12])).map_err(|_| damaged())?;
    let (line, rest) = after.split_at_checked(len).ok_or_else(damaged)?;
    Ok(Some(Split { offset: number(&head[..8]), head, line, rest }))
}

fn find(bytes: &[u8], offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut rest = start(bytes)?;
    while let Some(next) = split(rest)? {
        if next.offset == offset {
            return next.line().map(Some);
        }
        rest = next.rest;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_and_damage_is_seen() {
        let mut bytes = [MAGIC.as_slice(), &frame(7, b"{}"), &frame(900, b"[]")].concat();
        assert_eq!(find(&bytes, 900).unwrap(), Some(b"[]".to_vec()));
        assert_eq!(find(&bytes, 8).unwrap(), None);
        *bytes.last_mut().unwrap() ^= 1;
        assert!(find(&bytes, 900).is_err());
        assert_eq!(find(&bytes, 7).unwrap(), Some(b"{}".to_vec()));
        assert!(find(&bytes[..bytes.len() - 1], 900).is_err());
    }
}
