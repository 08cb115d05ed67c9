//! Where a poll goes on. Opaque to those who keep it, and good for one log only.
//!
//! ```text
//! base64url of | version 1 | log u32 | next u64 | told u64 | sub u32 | open u64 ... | crc32 of the rest |
//! ```
//!
//! `log` names the state that gave the numbers: made anew it counts from 1 again, and an old cursor must not point into
//! other events. `open` are deliveries of `sub` below `next` whose end was not known yet when the cursor went past them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{Seq, SubId, Timestamp};

const VERSION: u8 = 1;
/// Bytes before `open`, and of the checksum behind it.
const HEAD: usize = 25;
const CRC: usize = 4;

/// Most deliveries that a cursor remembers as open. It waits before one more.
pub const OPEN_MAX: usize = 32;

/// A place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the event to go on with.
    pub next: Seq,
    /// Whoever keeps it knows that what was missed below this may be forgotten.
    pub told: Seq,
    /// Whose deliveries are open; 0 without any.
    pub sub: SubId,
    pub open: Vec<Seq>,
}

/// Why a text is no cursor of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorError {
    Damaged,
    /// Whole, but of another log.
    Foreign,
}

fn log_of(born: Timestamp) -> [u8; 4] {
    crc32fast::hash(&born.0.to_le_bytes()).to_le_bytes()
}

impl Cursor {
    /// At the event `next`, with nothing open.
    pub fn at(next: Seq) -> Self {
        Self { next, told: 0, sub: SubId(0), open: Vec::new() }
    }

    /// The text for the log of the state made at `born`.
    pub fn write(&self, born: Timestamp) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(log_of(born));
        bytes.extend(self.next.to_le_bytes());
        bytes.extend(self.told.to_le_bytes());
        bytes.extend(self.sub.0.to_le_bytes());
        self.open.iter().for_each(|seq| bytes.extend(seq.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn read(text: &str, born: Timestamp) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Damaged)?;
        let (rest, crc) = bytes.split_last_chunk::<CRC>().ok_or(CursorError::Damaged)?;
        let (head, open) = rest.split_at_checked(HEAD).ok_or(CursorError::Damaged)?;
        let is_whole = crc32fast::hash(rest).to_le_bytes() == *crc && head[0] == VERSION && open.len() % 8 == 0;
        if !is_whole || open.len() / 8 > OPEN_MAX {
            return Err(CursorError::Damaged);
        }
        if head[1..5] != log_of(born) {
            return Err(CursorError::Foreign);
        }
        let long = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        Ok(Self {
            next: long(&head[5..13]),
            told: long(&head[13..21]),
            sub: SubId(u32::from_le_bytes(head[21..].try_into().expect("four bytes"))),
            open: open.chunks_exact(8).map(long).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORN: Timestamp = Timestamp(1_773_309_600_000);

    #[test]
    fn a_cursor_reads_back_in_its_own_log_only() {
        let cursor = Cursor { next: 1 << 40, told: 77, sub: SubId(7), open: vec![3, 9, 1 << 39] };
        let text = cursor.write(BORN);
        assert_eq!(Cursor::read(&text, BORN), Ok(cursor));
        assert_eq!(Cursor::read(&text, Timestamp(1)), Err(CursorError::Foreign));
        assert_eq!(Cursor::read(&Cursor::at(1).write(BORN), BORN), Ok(Cursor::at(1)));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
    }

    #[test]
    fn a_damaged_cursor_is_none() {
        let text = Cursor { next: 5, told: 0, sub: SubId(1), open: vec![2] }.write(BORN);
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(Cursor::read(&damaged, BORN), Err(CursorError::Damaged), "{damaged}");
            assert_eq!(Cursor::read(&text[..at], BORN), Err(CursorError::Damaged));
        }
        for text in ["", "7", "latest?", "ü", "AAAA"] {
            assert_eq!(Cursor::read(text, BORN), Err(CursorError::Damaged), "{text}");
        }
    }
}
