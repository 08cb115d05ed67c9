//! `[[log]]`: directories of append-only files that someone else owns, names, rotates and deletes. They are only read.
//!
//! Whole lines are copied into segments of our own (`claimed/<ULID>~log-NAME~INODE-BASE.ndjson`, whose byte `s` is byte
//! `BASE + s` of the file), so that everything behind sees nothing but files whose identity we control. What is left
//! is to know a file again after a restart; an inode number alone is no identity, since file systems reuse it at once.
//! A cursor therefore remembers bytes too, and any doubt means: a new file, from its start, and a report. What cannot
//! be told apart is a file that was replaced while no engine ran by one with the same inode number, the same first
//! bytes and the same bytes before the cursor.

mod copy;
mod cursor;
mod glob;
mod recover;
mod scan;
mod source;

pub use cursor::LogCursor;
pub(super) use recover::{OrphanSegment, recover};
pub(super) use source::{CopyRun, LogSource};
