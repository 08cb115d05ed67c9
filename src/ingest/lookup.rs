//! Reading single lines and stretches of a segment again, with the same rules as the first time but without a limit:
//! whatever was taken in stays readable when `max_line` becomes smaller.

use std::io;

use crate::env::ReadFile;

use super::framing::{BLOCK, Block, Content, Framer, Line, content, lines, read_range};

/// Enough for most lines; a longer one takes a second read.
const SMALL: usize = 8 * 1024;

/// The line that begins at `offset`, the last one without LF included; `None` at the end of the file.
pub(super) fn line_at<'a>(
    file: &dyn ReadFile,
    offset: u64,
    buffer: &'a mut Vec<u8>,
) -> io::Result<Option<Content<'a>>> {
    let len = file.stat()?.len;
    if offset >= len {
        return Ok(None);
    }
    let mut framer = Framer::at(offset);
    let mut block = SMALL;
    loop {
        match framer.next_block(file, len, usize::MAX, block, buffer)? {
            Block::More => block = BLOCK,
            Block::Lines { .. } => {
                let length = memchr::memchr(b'\n', buffer).expect("the framer found a line");
                return Ok(Some(content(&buffer[..length], offset == 0, usize::MAX)));
            }
            Block::Starved | Block::TooLong { .. } => {
                let text = framer.text_start();
                read_range(file, text, len.saturating_sub(text), buffer)?;
                return Ok(Some(content(buffer, offset == 0, usize::MAX)));
            }
        }
    }
}

/// Calls `each` with every line of `[start, end)`; the last one may lack its LF.
pub(super) fn lines_between(
    file: &dyn ReadFile,
    start: u64,
    end: u64,
    mut each: impl FnMut(Line<'_>),
) -> io::Result<()> {
    let mut framer = Framer::at(start);
    let mut buffer = Vec::new();
    while framer.start() < end {
        match framer.next_block(file, end, usize::MAX, BLOCK, &mut buffer)? {
            Block::More => {}
            Block::Lines { from } => {
                for line in lines(&buffer, from, framer.start(), usize::MAX) {
                    framer = Framer::at(line.end);
                    each(line);
                }
            }
            Block::Starved | Block::TooLong { .. } => {
                let (line_start, text) = (framer.start(), framer.text_start());
                read_range(file, text, end - text, &mut buffer)?;
                if text + buffer.len() as u64 != end {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "shorter than what was read of it"));
                }
                each(Line { start: line_start, end, content: content(&buffer, line_start == 0, usize::MAX) });
                return Ok(());
            }
        }
    }
    Ok(())
}
