//! HTTP over the engine's unix socket. Requests are HTTP/1.0: an answer then ends where the connection ends, so neither
//! chunks nor reuse have to be understood.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::super::error::{CliError, ExitKind, reason};
use super::{EngineClient, Reply, refusal};

/// Talks to the engine that listens on one socket file; each call is a connection.
pub struct SocketClient {
    path: PathBuf,
}

impl SocketClient {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn send(&self, method: &str, path: &str, body: &[u8]) -> Result<(Head, BufReader<UnixStream>), CliError> {
        let mut stream = UnixStream::connect(&self.path).map_err(|error| unreachable(&self.path, &error))?;
        let broke = |error: io::Error| {
            CliError::new(ExitKind::Unreachable, format!("the engine broke off the exchange: {}", reason(&error)))
        };
        let mut request = format!("{method} {path} HTTP/1.0\r\nHost: spoolhook\r\n").into_bytes();
        if !body.is_empty() {
            request.extend_from_slice(b"Content-Type: application/json\r\n");
        }
        request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(body);
        stream.write_all(&request).map_err(broke)?;
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader).map_err(broke)?;
        Ok((head, reader))
    }
}

impl EngineClient for SocketClient {
    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, CliError> {
        let (head, reader) = self.send(method, path, body)?;
        head.rest(reader).map_err(|error| {
            CliError::new(ExitKind::Unreachable, format!("the engine broke off its answer: {}", reason(&error)))
        })
    }

    fn stream(&self, path: &str) -> Result<Box<dyn BufRead + Send>, CliError> {
        let (head, reader) = self.send("GET", path, b"")?;
        if head.status == 200 {
            return Ok(Box::new(reader));
        }
        Err(match head.rest(reader) {
            Ok(reply) => refusal::error_of(&reply),
            Err(error) => CliError::new(ExitKind::Unreachable, reason(&error)),
        })
    }
}

/// What of an answer's head is of use.
struct Head {
    status: u16,
    length: Option<usize>,
}

impl Head {
    /// The body; one that is shorter than announced is an error, never half an answer.
    fn rest(self, mut reader: impl Read) -> io::Result<Reply> {
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        if self.length.is_some_and(|length| length != body.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Reply { status: self.status, body })
    }
}

/// Reads `HTTP/1.x 200 OK` and the header lines up to the empty one (RFC 9112 section 2).
fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "this is not an HTTP answer");
    let line = read_line(reader)?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).ok_or_else(malformed)?;
    let mut length = None;
    loop {
        let line = read_line(reader)?;
        match line.split_once(':') {
            _ if line.is_empty() => return Ok(Head { status, length }),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None => return Err(malformed()),
        }
    }
}

/// One line of the head; a peer that is not our engine cannot make it endless.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(16 << 10).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(text) => Ok(text.trim_end_matches('\r').to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Why there is no engine behind the socket, and what to do.
fn unreachable(path: &Path, error: &io::Error) -> CliError {
    let place = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(path)
                .map(|stat| format!(" (owner {}:{}, mode {:04o})", stat.uid(), stat.gid(), stat.mode() & 0o7777))
                .unwrap_or_default();
            CliError::new(ExitKind::NotPermitted, format!("permission denied on {place}{owner}"))
                .help("add yourself to its group: sudo adduser $USER spoolhook")
        }
        kind => {
            let why = match kind {
                io::ErrorKind::NotFound => "no such file".to_owned(),
                io::ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
                _ => reason(error),
            };
            CliError::new(ExitKind::Unreachable, format!("cannot reach spoolhook at {place}: {why}"))
                .help("is it running?           systemctl status spoolhook, or start it: spoolhook run")
                .help("running as another user? add yourself to group spoolhook (sudo adduser $USER spoolhook)")
                .help("elsewhere?               spoolhook --socket FILE ..., or --config FILE")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_nonsense_is_not() {
        let head = read_head(&mut &b"HTTP/1.0 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"[..]).unwrap();
        assert_eq!((head.status, head.length), (404, Some(5)));
        for wrong in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"] {
            assert!(read_head(&mut wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        assert!(Head { status: 200, length: Some(9) }.rest(&b"{}"[..]).is_err());
    }

    #[test]
    fn nobody_there_is_69_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = SocketClient::new(dir.path().join("s.sock")).call("GET", "/v1/status", b"").unwrap_err();
        assert_eq!(error.kind, ExitKind::Unreachable);
        assert!(error.message.ends_with("s.sock: no such file"), "{}", error.message);
        assert_eq!(error.help.len(), 3);
    }
}
