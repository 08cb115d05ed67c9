//! The bytes of one POST, made once and written once.
//!
//! ```text
//!   POST <path and query> HTTP/1.1 CRLF
//!   Host: <authority> CRLF
//!   <name>: <value> CRLF ...            as spelled, in the order given
//!   Content-Length: <digits> CRLF
//!   CRLF
//!   <body>
//! ```

use std::cell::Cell;

/// Names of headers that belong to the connection and its framing (RFC 9110, 7.6.1; RFC 9112, 6); nobody above HTTP sets
/// them.
const CONNECTION_HEADERS: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "upgrade", "te"];

/// A thread keeps the buffer of its last message, up to this size.
const SPARE_MAX: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A header that would not arrive as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidHeader;

/// A whole request, ready to be written.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// `start`: see [`start`]. Connection headers among `headers` are left out.
    pub(super) fn new<'a>(
        start: &[u8],
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &[u8],
    ) -> Result<Self, InvalidHeader> {
        let mut message = Self(SPARE.take());
        let bytes = &mut message.0;
        bytes.clear();
        bytes.extend_from_slice(start);
        for (name, value) in headers.filter(|(name, _)| !is_connection_header(name)) {
            if !is_valid_header(name, value) {
                return Err(InvalidHeader);
            }
            for part in [name, ": ", value, "\r\n"] {
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        bytes.extend_from_slice(b"Content-Length: ");
        bytes.extend_from_slice(body.len().to_string().as_bytes());
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(body);
        Ok(message)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if self.0.capacity() <= SPARE_MAX {
            SPARE.set(std::mem::take(&mut self.0));
        }
    }
}

/// What every message to one URL begins with: the request line and `Host`.
pub(super) fn start(path_and_query: &str, authority: &str) -> Vec<u8> {
    format!("POST {path_and_query} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes()
}

/// Whether HTTP itself sets the header.
pub(super) fn is_connection_header(name: &str) -> bool {
    CONNECTION_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a header can be sent as it is: a token (RFC 9110, 5.6.2) and a value without control characters (5.5).
pub(super) fn is_valid_header(name: &str, value: &str) -> bool {
    let in_value = |byte: u8| byte >= b' ' && byte != 0x7f || byte == b'\t';
    !name.is_empty() && name.bytes().all(|byte| IN_TOKEN[usize::from(byte)]) && value.bytes().all(in_value)
}

static IN_TOKEN: [bool; 256] = {
    let marks = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn made(headers: &[(&str, &str)], body: &str) -> Result<String, InvalidHeader> {
        let message = Message::new(&start("/a?b", "h:1"), headers.iter().copied(), body.as_bytes())?;
        Ok(String::from_utf8(message.bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_message_is_one_run_of_bytes() {
        let text = made(&[("X-One", "1"), ("content-length", "9"), ("x-two", "é\t2")], "{}").unwrap();
        assert_eq!(text, "POST /a?b HTTP/1.1\r\nHost: h:1\r\nX-One: 1\r\nx-two: é\t2\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(made(&[], "").unwrap(), "POST /a?b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n");
    }

    #[test]
    fn nothing_of_an_event_becomes_a_header_of_its_own() {
        for (name, value) in [("X", "a\r\nEvil: 1"), ("X", "a\nb"), ("X", "a\0"), ("X", "\u{7f}"), ("X\r\nEvil", "1")] {
            assert_eq!(made(&[(name, value)], ""), Err(InvalidHeader), "{name:?} {value:?}");
        }
        for name in ["", "a b", "a:", "é"] {
            assert_eq!(made(&[(name, "1")], ""), Err(InvalidHeader), "{name:?}");
        }
        assert_eq!(made(&[], "{}").unwrap().matches("Evil").count(), 0, "a refused message leaves nothing behind");
    }
}
