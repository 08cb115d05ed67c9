//! Lines that are no events, kept byte for byte until a person decides. Owns the format of `quarantine/`.
//!
//! ```text
//! quarantine/<ULID>.ndjson.q        what was set aside of that segment, one JSON object per line:
//!   {"id":"<ULID>-<offset>","src":"orders","segment":"<ULID>","offset":0,"len":17,"at":"2026-...","reason":"schema",
//!    "detail":"...","first_256_b64":"...","raw_b64":"..."}       up to 64 KiB
//!    ..."first_256_b64":"...","blob":"<ULID>.<offset>.bin"}      longer
//!   {"id":"<ULID>-<offset>","mark":"retried","at":"2026-..."}    a decision; nothing is ever rewritten
//! quarantine/<ULID>.<offset>.bin    the bytes of a long line
//! ```

mod check;
mod review;
mod writer;

use serde::{Deserialize, Serialize};

pub(super) use check::check;
pub use review::{Quarantine, QuarantineEntry, QuarantineError, QuarantineState};
pub(super) use writer::{Bad, PutError, QuarantineWriter};

use crate::model::SegmentId;

/// Longest line kept inside its record; a longer one gets a file of its own.
const MAX_INLINE: u64 = 64 * 1024;
/// Bytes of every line shown with its record.
const FIRST: usize = 256;

/// One line of a `.q` file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Record {
    Held(HeldRecord),
    Mark { id: String, mark: String, at: String },
}

#[derive(Serialize, Deserialize)]
struct HeldRecord {
    id: String,
    src: String,
    segment: String,
    offset: u64,
    len: u64,
    at: String,
    reason: String,
    detail: String,
    first_256_b64: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    raw_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    blob: Option<String>,
}

fn file_name(segment: SegmentId) -> String {
    format!("{segment}.ndjson.q")
}

fn blob_name(segment: SegmentId, offset: u64) -> String {
    format!("{segment}.{offset}.bin")
}

/// The records of a `.q` file. Lines that do not parse are what a crash left of a write that was never relied upon.
fn records(bytes: &[u8]) -> impl Iterator<Item = Record> {
    bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}
