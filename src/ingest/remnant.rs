//! Single lines of a segment whose file is gone. Owns the format of `archive/remnants/<ULID>`:
//!
//! ```text
//! file   = "spoolrm1" *frame
//! frame  = offset  u64 LE   the line's place in the segment
//!          len     u32 LE
//!          crc     u32 LE   CRC-32 (IEEE) of offset, len and line
//!          line    len bytes, without line end
//! ```

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::env::Files;
use crate::model::SegmentId;

use super::error::IngestError;
use super::framing::{Content, read_range};
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

/// Where the lines of one remnant lie, so that each can be read by itself.
pub(super) struct Places {
    pub(super) id: SegmentId,
    path: PathBuf,
    /// By a line's place in the segment: where its frame begins, and its length.
    frames: HashMap<u64, (u64, usize)>,
    /// It ends too early: lines may be missing.
    is_cut: bool,
}

impl Places {
    /// Looks through the remnant of `id`; without a line when there is none.
    pub(super) fn of(files: &dyn Files, layout: &Layout, id: SegmentId) -> io::Result<Self> {
        let path = path(layout, id);
        let bytes = match files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => MAGIC.to_vec(),
            other => other?,
        };
        let mut places = HashMap::new();
        let mut start = MAGIC.len() as u64;
        let mut is_cut = false;
        for frame in frames(&bytes)? {
            let Ok((offset, len, _)) = frame else {
                is_cut = true;
                break;
            };
            places.insert(offset, (start, len));
            start += (HEADER + len) as u64;
        }
        Ok(Self { id, path, frames: places, is_cut })
    }

    /// The line that began at `offset`, if it was kept.
    pub(super) fn line(&self, files: &dyn Files, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((start, len)) = self.frames.get(&offset) else {
            return if self.is_cut { Err(damaged()) } else { Ok(None) };
        };
        let mut frame = Vec::new();
        read_range(files.open(&self.path)?.as_ref(), *start, (HEADER + len) as u64, &mut frame)?;
        // One that is not what was there at the last look fails its checksum.
        let bytes = [MAGIC.as_slice(), &frame].concat();
        match frames(&bytes)?.next() {
            Some(Ok((at, _, line))) if at == offset => line.map(|line| Some(line.to_vec())),
            _ => Err(damaged()),
        }
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

/// Every line of a remnant with its place, by place. Damaged lines are left out.
pub(super) fn lines(bytes: &[u8]) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let whole = |frame: io::Result<Frame<'_>>| Some((frame.as_ref().ok()?.0, frame.ok()?.2.ok()?.to_vec()));
    let mut lines: Vec<_> = frames(bytes)?.filter_map(whole).collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}

/// A line's place and length, and the line if its checksum holds.
type Frame<'a> = (u64, usize, io::Result<&'a [u8]>);

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
        Some(Ok((number(&head[..8]), line.len(), if is_whole { Ok(line) } else { Err(damaged()) })))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn lines_are_found_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::of(dir.path());
        std::fs::create_dir_all(&layout.remnants).unwrap();
        let id = SegmentId(1);
        let look = |bytes: &[u8], offset| {
            std::fs::write(path(&layout, id), bytes).unwrap();
            Places::of(&OsFiles, &layout, id)?.line(&OsFiles, offset)
        };
        let mut bytes = [MAGIC.as_slice(), &frame(7, b"{}"), &frame(900, b"[]")].concat();
        assert_eq!(look(&bytes, 900).unwrap(), Some(b"[]".to_vec()));
        assert_eq!(look(&bytes, 8).unwrap(), None);
        *bytes.last_mut().unwrap() ^= 1;
        assert!(look(&bytes, 900).is_err());
        assert_eq!(look(&bytes, 7).unwrap(), Some(b"{}".to_vec()));
        assert!(look(&bytes[..bytes.len() - 1], 900).is_err());
        assert!(look(b"other", 7).is_err());
        OsFiles.unlink(&path(&layout, id)).unwrap();
        assert_eq!(Places::of(&OsFiles, &layout, id).unwrap().line(&OsFiles, 7).unwrap(), None);
    }

    #[test]
    fn places_of_a_file_that_was_written_anew_bring_no_other_line() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::of(dir.path());
        std::fs::create_dir_all(&layout.remnants).unwrap();
        let id = SegmentId(1);
        std::fs::write(path(&layout, id), [MAGIC.as_slice(), &frame(7, b"{}")].concat()).unwrap();
        let places = Places::of(&OsFiles, &layout, id).unwrap();
        std::fs::write(path(&layout, id), [MAGIC.as_slice(), &frame(3, b"[]"), &frame(7, b"{}")].concat()).unwrap();
        assert!(places.line(&OsFiles, 7).is_err());
    }
}
