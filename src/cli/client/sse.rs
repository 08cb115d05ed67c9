//! Reading server-sent events (WHATWG HTML, section 9.2.6), as far as our own engine writes them.

use std::io;

/// One event: its name and its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub event: String,
    pub data: String,
}

/// The events of a stream of lines, until it ends.
pub struct Frames<L>(pub L);

impl<L: Iterator<Item = io::Result<String>>> Iterator for Frames<L> {
    type Item = io::Result<Frame>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut frame = Frame::default();
        loop {
            let line = match self.0.next()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
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
        let frames: Vec<_> = Frames(text.lines().map(|line| Ok(line.to_owned()))).map(|frame| frame.unwrap()).collect();
        assert_eq!(frames[0], Frame { event: "attempt".into(), data: "{\"a\":1}".into() });
        assert_eq!(frames[1].event, "gap");
        assert_eq!(frames.len(), 2);
    }
}
