//! Where lines begin and end. Owns the rules of LF, CR, blank lines, byte order marks, NUL holes and the longest line;
//! whether a line is an event is for `record`.
//!
//! Nothing unfinished is kept in memory: a `Framer` remembers three offsets, and reads a line once more when its LF
//! has come. So a million half-written lines cost nothing, and a line of any length is passed in linear time.

use std::io;

use crate::env::ReadFile;

/// What `Framer::next_block` reads at a time, unless a single line is longer.
pub(super) const BLOCK: usize = 256 * 1024;

/// CR and byte order mark, which do not count as part of a line.
const UNCOUNTED: u64 = 4;

/// A line from its first byte to the byte after its LF, as offsets in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub start: u64,
    pub end: u64,
    pub content: Content<'a>,
}

/// What a line is, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    Text(&'a [u8]),
    Blank,
    TooLong,
}

/// Judges the outside of a line, given without its LF: one CR at its end, a run of NUL at its beginning (the hole a
/// power cut or a truncation leaves) and a byte order mark at the start of the file are no part of it.
pub(super) fn content(raw: &[u8], starts_file: bool, max_line: usize) -> Content<'_> {
    let text = raw.strip_suffix(b"\r").unwrap_or(raw);
    let text = &text[leading_nuls(text)..];
    let text = if starts_file { text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text) } else { text };
    if text.len() > max_line {
        Content::TooLong
    } else if text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
        Content::Blank
    } else {
        Content::Text(text)
    }
}

fn leading_nuls(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len())
}

/// The whole lines of `buffer`. Its first byte lies at `from` in the file; the first line begins at `start`, which is
/// earlier when NULs before it were left out of the buffer.
pub fn lines(buffer: &[u8], from: u64, start: u64, max_line: usize) -> impl Iterator<Item = Line<'_>> {
    let mut line_start = start;
    let mut at = 0;
    std::iter::from_fn(move || {
        let length = memchr::memchr(b'\n', &buffer[at..])?;
        let raw = &buffer[at..at + length];
        at += length + 1;
        let line = Line { start: line_start, end: from + at as u64, content: content(raw, line_start == 0, max_line) };
        line_start = line.end;
        Some(line)
    })
}

/// What a look at the file brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// The buffer holds whole lines; its first byte lies at `from`.
    Lines { from: u64 },
    /// The line that began at `start()` is longer than allowed and ends (LF included) at `end`.
    TooLong { end: u64 },
    /// No LF so far; more bytes are there to look at.
    More,
    /// No LF up to the end of the file.
    Starved,
}

/// How far one file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Framer {
    /// First byte of the line that is not finished.
    start: u64,
    /// First byte of it that is not NUL, as far as is known.
    text: u64,
    /// No LF lies between `start` and here.
    scanned: u64,
}

impl Framer {
    pub(super) fn at(offset: u64) -> Self {
        Self { start: offset, text: offset, scanned: offset }
    }

    /// Everything before this offset is done.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Where the unfinished line's text begins, past a hole of NULs.
    pub(super) fn text_start(&self) -> u64 {
        self.text
    }

    /// Looks at up to `block` bytes (or one line) before `end`, the file's length. Lines found stay unread until the
    /// caller goes on with `Framer::at(end of the last line it took)`.
    pub(super) fn next_block(
        &mut self,
        file: &dyn ReadFile,
        end: u64,
        max_line: usize,
        block: usize,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Block> {
        let is_fresh = self.scanned == self.start;
        let wanted = end.saturating_sub(self.scanned).min(block as u64);
        read_range(file, self.scanned, wanted, buffer)?;
        if is_fresh && let Some(last) = memchr::memrchr(b'\n', buffer) {
            buffer.truncate(last + 1);
            return Ok(Block::Lines { from: self.start });
        }
        let Some(length) = memchr::memchr(b'\n', buffer) else {
            self.pass(buffer);
            let is_over = self.scanned >= end || buffer.is_empty();
            return Ok(if is_over { Block::Starved } else { Block::More });
        };
        let mut ahead = *self;
        ahead.pass(&buffer[..length]);
        let line_end = ahead.scanned + 1;
        let text_len = ahead.scanned - ahead.text;
        if text_len > (max_line as u64).saturating_add(UNCOUNTED) {
            return Ok(Block::TooLong { end: line_end });
        }
        read_range(file, ahead.text, line_end - ahead.text, buffer)?;
        if buffer.len() as u64 != line_end - ahead.text {
            return Ok(Block::Starved);
        }
        Ok(Block::Lines { from: ahead.text })
    }

    fn pass(&mut self, bytes: &[u8]) {
        if self.text == self.scanned {
            self.text += leading_nuls(bytes) as u64;
        }
        self.scanned += bytes.len() as u64;
    }
}

/// Reads up to `len` bytes at `offset`, fewer only at the end of the file.
pub(super) fn read_range(file: &dyn ReadFile, offset: u64, len: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    buffer.resize(len, 0);
    let mut filled = 0;
    while filled < len {
        let read = file.read_at(&mut buffer[filled..], offset + filled as u64)?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    buffer.truncate(filled);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::env::{FileKind, Stat, Writers};

    /// Bytes that answer reads in pieces of their own choosing.
    struct Pieces {
        bytes: Vec<u8>,
        piece: usize,
    }

    impl ReadFile for Pieces {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = &self.bytes[self.bytes.len().min(offset as usize)..];
            let count = rest.len().min(buffer.len()).min(self.piece);
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }

        fn stat(&self) -> io::Result<Stat> {
            Ok(Stat { kind: FileKind::Regular, len: 0, dev: 0, ino: 0, nlink: 1, uid: 0, mtime_ns: 0 })
        }

        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }

        fn writers(&self) -> Writers {
            Writers::Unknown
        }
    }

    type Seen = Vec<(u64, u64, Option<Vec<u8>>, bool)>;

    /// Reads `bytes` while the file grows through the lengths `growth`, in blocks of `block`.
    fn frame(bytes: &[u8], growth: &[u64], block: usize, piece: usize, max_line: usize) -> Seen {
        let file = Pieces { bytes: bytes.to_vec(), piece };
        let mut framer = Framer::at(0);
        let mut buffer = Vec::new();
        let mut seen = Vec::new();
        for &end in growth {
            loop {
                match framer.next_block(&file, end, max_line, block, &mut buffer).unwrap() {
                    Block::Starved => break,
                    Block::More => {}
                    Block::TooLong { end } => {
                        seen.push((framer.start(), end, None, true));
                        framer = Framer::at(end);
                    }
                    Block::Lines { from } => {
                        for line in lines(&buffer, from, framer.start(), max_line) {
                            let text = match line.content {
                                Content::Text(text) => Some(text.to_vec()),
                                _ => None,
                            };
                            seen.push((line.start, line.end, text, line.content == Content::TooLong));
                            framer = Framer::at(line.end);
                        }
                    }
                }
            }
        }
        seen
    }

    #[test]
    fn the_outside_of_a_line() {
        assert_eq!(content(b"{}\r", false, 9), Content::Text(b"{}"));
        assert_eq!(content(b"\0\0{}", false, 2), Content::Text(b"{}"));
        assert_eq!(content(b"\xEF\xBB\xBF{}", true, 2), Content::Text(b"{}"));
        assert_eq!(content(b"\xEF\xBB\xBF{}", false, 9), Content::Text(b"\xEF\xBB\xBF{}"));
        assert_eq!(content(b" \t\r", false, 9), Content::Blank);
        assert_eq!(content(b"\0\0", false, 9), Content::Blank);
        assert_eq!(content(b"12345", false, 5), Content::Text(b"12345"));
        assert_eq!(content(b"123456", false, 5), Content::TooLong);
    }

    #[test]
    fn a_hole_before_a_line_takes_no_memory() {
        let mut bytes = vec![0; 100_000];
        bytes.extend_from_slice(b"{}\n{}\n");
        let seen = frame(&bytes, &[bytes.len() as u64], 4096, 4096, 10);
        assert_eq!(
            seen,
            vec![(0, 100_003, Some(b"{}".to_vec()), false), (100_003, 100_006, Some(b"{}".to_vec()), false)]
        );
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            bytes in prop::collection::vec(
                prop_oneof![3 => Just(b'\n'), 2 => Just(0u8), 2 => Just(b'\r'), 2 => Just(b' '), 9 => any::<u8>()], 0..300),
            cuts in prop::collection::vec(0u64..300, 0..20),
            block in 1usize..40,
            piece in 1usize..40,
            max_line in 1usize..30,
        ) {
            let len = bytes.len() as u64;
            let mut growth: Vec<u64> = cuts.into_iter().map(|cut| cut.min(len)).collect();
            growth.push(len);
            growth.sort_unstable();
            let whole = frame(&bytes, &[len], 4096, 4096, max_line);
            prop_assert_eq!(&frame(&bytes, &growth, block, piece, max_line), &whole);
            let mut at = 0;
            for (start, end, _, _) in whole {
                prop_assert_eq!(start, at);
                at = end;
            }
            prop_assert_eq!(at, memchr::memrchr(b'\n', &bytes).map_or(0, |last| last as u64 + 1));
        }
    }
}
