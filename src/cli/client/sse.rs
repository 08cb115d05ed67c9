//! Reading server-sent events (WHATWG HTML, section 9.2.6), as far as our own engine writes them.

use std::io::{self, BufRead};

/// One event: its name and its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub event: String,
    pub data: String,
}

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// The events of a stream, until it ends.
pub struct Frames<R>(pub R);

impl<R: BufRead> Iterator for Frames<R> {
    type Item = io::Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut frame = Frame::default();
        loop {
            let mut line = String::new();
            match io::Read::take(&mut self.0, LINE_BYTES_MAX).read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
            let line = line.trim_end_matches(['\n', '\r']);
            match line.split_once(':') {
                _ if line.is_empty() && frame != Frame::default() => return Some(Ok(frame)),
                Some(("event", value)) => frame.event = value.trim_start().to_owned(),
                Some(("data", value)) => frame.data.push_str(value.strip_prefix(' ').unwrap_or(value)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_passed_over() {
        let text = ":\n\nevent: attempt\ndata: {\"a\":1}\n\n: beat\n\nevent: gap\ndata: {}\n\ndata: torn";
        let frames: Vec<_> = Frames(text.as_bytes()).map(|frame| frame.unwrap()).collect();
        assert_eq!(frames[0], Frame { event: "attempt".into(), data: "{\"a\":1}".into() });
        assert_eq!(frames[1].event, "gap");
        assert_eq!(frames.len(), 2);
    }
}
