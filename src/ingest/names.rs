//! Names of segments: what the engine calls a file it has claimed or made, and how it reads such a name again.
//!
//! ```text
//! 01J9Z3...~orders.ndjson                      claimed from in/orders.ndjson
//! 01J9Z3...~log-erp~1a2b-0.ndjson              copied from a `[[log]]` called erp: inode 0x1a2b, from offset 0x0
//! ^ ULID    ^ escaped: %XX for all bytes but letters, digits, `.`, `_` and `-`
//! ```

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::model::SegmentId;

/// Room for the ULID, the separators, an inode, an offset and the suffix within the 255 bytes of a file name.
const MAX_STEM: usize = 180;

/// Where a segment's bytes came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The escaped NAME of `in/NAME`.
    Spool { stem: String },
    /// A copy of `[[log]]` `log` (escaped): file `ino`, whose byte `base` is the segment's byte 0.
    Log { log: String, ino: u64, base: u64 },
}

impl Origin {
    /// Segments of one stream are read in the order they were made. No stem holds `~`, so logs stand apart.
    pub(super) fn stream(&self) -> String {
        match self {
            Origin::Spool { stem } => stem.clone(),
            Origin::Log { log, .. } => format!("log~{log}"),
        }
    }
}

/// The stem of a name producers may use in `in/`; `None` for every other name.
pub(super) fn spool_stem(name: &OsStr) -> Option<String> {
    let bytes = name.as_bytes();
    if bytes.first() == Some(&b'.') {
        return None;
    }
    match bytes.strip_suffix(b".ndjson") {
        Some(stem) => Some(escape(stem)),
        None => bytes.ends_with(b".jsonl").then(|| escape(bytes)),
    }
}

/// `name` as part of a file name. A long one is cut and told apart by a checksum of the whole.
pub(super) fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    if text.len() > MAX_STEM {
        text.truncate(MAX_STEM);
        text.push_str(&format!("%-{:08x}", crc32fast::hash(name)));
    }
    text
}

/// The file name of a segment.
pub(super) fn segment_name(id: SegmentId, origin: &Origin) -> String {
    match origin {
        Origin::Spool { stem } => format!("{id}~{stem}.ndjson"),
        Origin::Log { log, ino, base } => format!("{id}~log-{log}~{ino:x}-{base:x}.ndjson"),
    }
}

/// Reads a segment's file name; `None` for a name the engine did not make.
pub(super) fn parse_segment_name(name: &OsStr) -> Option<(SegmentId, Origin)> {
    let (id, rest) = name.to_str()?.strip_suffix(".ndjson")?.split_once('~')?;
    let id = id.parse().ok()?;
    let origin = match rest.split_once('~') {
        None => Origin::Spool { stem: rest.to_owned() },
        Some((log, place)) => {
            let (ino, base) = place.split_once('-')?;
            Origin::Log {
                log: log.strip_prefix("log-")?.to_owned(),
                ino: u64::from_str_radix(ino, 16).ok()?,
                base: u64::from_str_radix(base, 16).ok()?,
            }
        }
    };
    Some((id, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_round_trip() {
        for origin in [
            Origin::Spool { stem: spool_stem(OsStr::from_bytes(b"a~b c\xff\n.ndjson")).unwrap() },
            Origin::Spool { stem: spool_stem(OsStr::new("x.jsonl")).unwrap() },
            Origin::Log { log: escape(b"erp 1"), ino: 77, base: 1 << 40 },
        ] {
            let name = segment_name(SegmentId(5), &origin);
            assert_eq!(parse_segment_name(OsStr::new(&name)), Some((SegmentId(5), origin)), "{name}");
        }
        assert_eq!(parse_segment_name(OsStr::new("notes.ndjson")), None);
    }

    #[test]
    fn only_event_files_have_stems_and_long_names_fit() {
        assert_eq!(spool_stem(OsStr::new(".hidden.ndjson")), None);
        assert_eq!(spool_stem(OsStr::new("a.ndjson.gz")), None);
        let (a, b) = (format!("{}a.ndjson", "é".repeat(120)), format!("{}b.ndjson", "é".repeat(120)));
        let (a, b) = (spool_stem(OsStr::new(&a)).unwrap(), spool_stem(OsStr::new(&b)).unwrap());
        assert_ne!(a, b);
        assert!(segment_name(SegmentId(u128::MAX >> 3), &Origin::Spool { stem: a }).len() <= 255);
    }
}
