//! The engine behind its unix socket, over `http`'s client.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::error::{CliError, ExitKind, reason};
use super::{EngineClient, Lines, Reply};
use crate::http::UnixClient;

/// Talks to the engine that listens on one socket file; each call is a connection.
pub struct SocketClient(UnixClient);

impl SocketClient {
    pub fn new(path: PathBuf) -> Self {
        Self(UnixClient::new(path))
    }
}

impl EngineClient for SocketClient {
    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, CliError> {
        let body = (!body.is_empty()).then_some(body);
        match self.0.request(method, path, body) {
            Ok((status, body)) => Ok(Reply { status, body }),
            Err(error) => Err(unreachable(self.0.path(), &error)),
        }
    }

    fn stream(&self, path: &str) -> Result<Lines, CliError> {
        let broke = |error: io::Error| unreachable(self.0.path(), &error);
        let (status, mut lines) = self.0.lines(path).map_err(broke)?;
        if status == 200 {
            return Ok(Box::new(lines));
        }
        let body = lines.try_fold(String::new(), |body, line| Ok(body + &line?)).map_err(broke)?;
        Err(Reply { status, body: body.into_bytes() }.refusal())
    }
}

/// Why there is no answer from behind the socket, and what to do.
fn unreachable(path: &Path, error: &io::Error) -> CliError {
    let place = path.display();
    let why = match error.kind() {
        ErrorKind::PermissionDenied => {
            let owner = std::fs::metadata(path)
                .map(|stat| format!(" (owner {}:{}, mode {:04o})", stat.uid(), stat.gid(), stat.mode() & 0o7777))
                .unwrap_or_default();
            return CliError::new(ExitKind::NotPermitted, format!("permission denied on {place}{owner}"))
                .help("add yourself to its group: sudo adduser $USER spoolhook");
        }
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
        ErrorKind::TimedOut => "it does not answer".to_owned(),
        _ => reason(error),
    };
    CliError::new(ExitKind::Unreachable, format!("cannot reach spoolhook at {place}: {why}"))
        .help("is it running?           systemctl status spoolhook, or start it: spoolhook run")
        .help("running as another user? add yourself to group spoolhook (sudo adduser $USER spoolhook)")
        .help("elsewhere?               spoolhook --url https://appliance:7380 --token-file FILE ..., or --config FILE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_is_69_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = SocketClient::new(dir.path().join("s.sock")).call("GET", "/v1/status", b"").unwrap_err();
        assert_eq!(error.kind, ExitKind::Unreachable);
        assert!(error.message.ends_with("s.sock: no such file"), "{}", error.message);
        assert_eq!(error.help.len(), 3);
    }
}
