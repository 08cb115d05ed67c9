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

fn find(bytes: &[u8], offset: u64) -> io::Result<Option<Vec<u8>>> {
    for frame in frames(bytes)? {
        let (at, line) = frame?;
        if at == offset {
            return line.map(|line| Some(line.to_vec()));
        }
    }
    Ok(None)
}

/// Every line of a remnant with its place, by place. Damaged lines are left out.
pub(super) fn lines(bytes: &[u8]) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let whole = |frame: io::Result<Frame<'_>>| Some((frame.as_ref().ok()?.0, frame.ok()?.1.ok()?.to_vec()));
    let mut lines: Vec<_> = frames(bytes)?.filter_map(whole).collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}

/// A line's place, and the line if its checksum holds.
type Frame<'a> = (u64, io::Result<&'a [u8]>);

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the remnant file is damaged")
}

/// The frames of a remnant file, up to the first place where it ends too early.
fn frames(bytes: &[u8]) -> io::Result<impl Iterator<Item = io::Result<Frame<'_>>>> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |value, &byte| (value << 8) | u64::from(byte));
        let cut = rest.split_at_checked(HEADER).and_then(|(head, after)| {
            let len = usize::try_from(number(&head[8..12])).ok()?;
            after.split_at_checked(len).map(|(line, next)| (head, line, next))
        });
        let Some((head, line, next)) = cut else {
            rest = &[];
            return Some(Err(damaged()));
        };
        rest = next;
        let is_whole = u64::from(checksum(&head[..12], line)) == number(&head[12..16]);
        Some(Ok((number(&head[..8]), if is_whole { Ok(line) } else { Err(damaged()) })))
    }))
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
