//! Whether the quarantine holds what was set aside, byte for byte.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{HeldRecord, Record, blob_name, file_name, records};
use crate::env::{Files, ReadFile};
use crate::ingest::framing::read_range;
use crate::model::{Extent, SegmentId};

/// Looks for each of `lines`, rejected ones of `segment`, in the quarantine in `dir`, and says what is missing or differs.
/// The bytes are compared as long as the segment's own `file` is kept.
pub(in crate::ingest) fn check(
    files: &dyn Files,
    dir: &Path,
    segment: SegmentId,
    file: Option<&dyn ReadFile>,
    lines: impl Iterator<Item = Extent>,
    say: &mut dyn FnMut(String),
) {
    let path = dir.join(file_name(segment));
    let bytes = match files.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return say(format!("quarantine: {} cannot be read: {error}", path.display())),
    };
    let held: HashMap<u64, HeldRecord> = records(&bytes)
        .filter_map(|record| match record {
            Record::Held(held) => Some((held.offset, held)),
            Record::Mark { .. } => None,
        })
        .collect();
    for line in lines {
        let (at, len) = (line.start, line.end - line.start);
        let wrong = match held.get(&at) {
            None => Some("is missing".to_owned()),
            Some(held) if held.len != len => Some(format!("has {} bytes, {len} were set aside", held.len)),
            Some(held) => match has_bytes(files, dir, segment, held, file) {
                Ok(true) => None,
                Ok(false) => Some("holds other bytes than the line had".to_owned()),
                Err(error) => Some(format!("cannot be compared: {error}")),
            },
        };
        if let Some(wrong) = wrong {
            say(format!("quarantine: line {segment}-{at} {wrong} in {}", path.display()));
        }
    }
}

fn has_bytes(
    files: &dyn Files,
    dir: &Path,
    segment: SegmentId,
    held: &HeldRecord,
    file: Option<&dyn ReadFile>,
) -> io::Result<bool> {
    if held.blob.is_some() {
        return Ok(files.stat(&dir.join(blob_name(segment, held.offset)))?.len == held.len);
    }
    let Ok(kept) = STANDARD.decode(held.raw_b64.as_deref().unwrap_or_default()) else { return Ok(false) };
    let Some(file) = file else { return Ok(kept.len() as u64 == held.len) };
    let mut line = Vec::new();
    read_range(file, held.offset, held.len, &mut line)?;
    Ok(line == kept)
}
