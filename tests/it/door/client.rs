//! HTTP by hand, so that what is checked is what is on the wire.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In small letters.
    pub head: String,
    /// Empty for a stream.
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// One exchange. A stream is left as soon as its head is there.
pub fn ask(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    let mut reader = send(address, method, path, token, body);
    let head = read_head(&mut reader);
    let mut text = String::new();
    if !head.contains("text/event-stream") {
        reader.read_to_string(&mut text).unwrap();
    }
    Answer { status: head[9..12].parse().unwrap(), head, body: text }
}

fn send(address: SocketAddr, method: &str, path: &str, token: Option<&str>, body: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let auth = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\n{auth}Content-Length: {length}\r\n\r\n{body}")
        .unwrap();
    BufReader::new(stream)
}

fn read_head(reader: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "no head: {head}");
    }
    head.to_lowercase()
}

/// A stream of lines.
pub struct Stream(BufReader<TcpStream>);

impl Stream {
    pub fn open(address: SocketAddr, path: &str, token: &str) -> Self {
        let mut reader = send(address, "GET", path, Some(token), "");
        let head = read_head(&mut reader);
        assert!(head.contains(" 200 "), "{head}");
        Self(reader)
    }

    /// It has an end, and it comes.
    pub fn assert_ends(&mut self) {
        self.0.read_to_end(&mut Vec::new()).unwrap();
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
        line
    }
}
