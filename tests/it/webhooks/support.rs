//! HTTP as a client writes it, byte by byte.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;
use spoolhook::receiver::Receiver;

use crate::usage::support::{Home, PATIENCE, Process, receiver};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub json: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// The slug of a problem's type.
    pub fn problem(&self) -> &str {
        self.json["type"].as_str().unwrap().rsplit(':').next().unwrap()
    }

    /// The pointers of the members that are wrong.
    pub fn pointers(&self) -> Vec<&str> {
        self.json["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap()).collect()
    }
}

/// Sends one request as it is, and reads the answer to its end. The one place that knows the transport.
pub fn exchange(home: &Home, request: &[u8]) -> Reply {
    let mut stream = UnixStream::connect(home.path("state/spoolhook.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), json: serde_json::from_str(body).unwrap_or(Value::Null) }
}

/// One request with `headers`, each ending in CRLF.
pub fn call(home: &Home, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}");
    exchange(home, format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
}

pub fn post(home: &Home, path: &str, body: &Value) -> Reply {
    call(home, "POST", path, "", &body.to_string())
}

pub fn put(home: &Home, path: &str, body: &Value) -> Reply {
    call(home, "PUT", path, "", &body.to_string())
}

pub fn get(home: &Home, path: &str) -> Reply {
    call(home, "GET", path, "", "")
}

pub fn delete(home: &Home, path: &str) -> Reply {
    call(home, "DELETE", path, "", "")
}

/// What lets a webhook of the API reach a receiver beside the engine, over plain HTTP.
pub const NEARBY: &str = "[network]\nallow = [\"127.0.0.1\"]\n[[tenant]]\nid = \"default\"\nrequire_https = false\n";

/// An engine whose webhooks may reach a receiver, and the receiver.
pub fn nearby(more: &str) -> (Home, Process, Receiver) {
    let home = Home::new(&format!("{NEARBY}{more}"));
    let engine = home.engine();
    (home, engine, receiver(&[200]))
}
