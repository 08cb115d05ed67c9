//! What lies behind the last whole commit: the torn end of a write that nobody was told of, or damage to one that somebody
//! may have acted upon. Pure.
//!
//! A kill or a power cut in mid-write leaves a *prefix* of what was written, or a prefix and then zeros from some sector on.
//! Anything else (a frame that is there to its last byte and fails its checksum, other frames behind it, bytes that are
//! no frame) was whole once. What cannot be told apart is a commit cut short by hand: the marks tell that (marks.rs).

use super::frame::{self, Item};

/// Zeros at the end of a file count as never written from a multiple of this on...
const SECTOR: usize = 512;
/// ...if they are more than a record may well end with.
const ZEROS_MIN: usize = 32;

/// Whether `rest`, which begins at `offset` in its file behind a whole commit, looks like the beginning of the commit whose
/// first record is `next_lsn`.
pub(super) fn is_torn(rest: &[u8], offset: usize, next_lsn: u64) -> bool {
    let rest = without_unwritten_sectors(rest, offset);
    let mut items = frame::scan(rest);
    let mut lsn = next_lsn;
    let broken = loop {
        match items.next() {
            None => return true,
            Some(Item::Frame(frame)) if frame.lsn == lsn && !frame.commit => lsn += 1,
            Some(Item::Frame(_)) => return false,
            Some(Item::Damage { start, .. }) => break start,
        }
    };
    items.next().is_none() && frame::is_cut_short(&rest[broken..], lsn)
}

fn without_unwritten_sectors(rest: &[u8], offset: usize) -> &[u8] {
    let written = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let sector = (offset + written).next_multiple_of(SECTOR) - offset;
    if written == 0 {
        return &[];
    }
    match rest.len().checked_sub(sector) {
        Some(zeros) if zeros >= ZEROS_MIN => &rest[..sector],
        _ => rest,
    }
}
