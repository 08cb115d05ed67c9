//! Asking the running engine, over its unix socket or, elsewhere, over TCP with a token. What it answers is kept as it came, so that `--json` prints the engine's own bytes.

mod path;
mod refusal;
mod remote;
mod socket;
mod sse;

use std::io;

use serde::de::DeserializeOwned;

pub use path::{query, segment};
pub use remote::{TcpClient, is_in_the_clear};
pub use socket::SocketClient;
pub use sse::{Frame, Frames};

use super::error::{CliError, ExitKind};

/// The engine, reachable.
pub trait EngineClient {
    /// One exchange. An answer of any status is a [`Reply`]; `Err` means that there is none.
    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Reply, CliError>;

    /// Opens a stream that ends when the engine does; a refusal is an `Err`.
    fn stream(&self, path: &str) -> Result<Lines, CliError>;
}

/// The lines of a stream, as they come.
pub type Lines = Box<dyn Iterator<Item = io::Result<String>> + Send>;

/// Status and body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A successful answer: understood, and as it came.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    pub value: T,
    pub json: Vec<u8>,
}

impl Reply {
    /// The error that an answer other than 2xx means.
    pub fn refusal(&self) -> CliError {
        refusal::error_of(self)
    }

    /// Reads a 2xx answer; anything else becomes the error it describes.
    pub fn read<T: DeserializeOwned>(self) -> Result<Answer<T>, CliError> {
        if !(200..300).contains(&self.status) {
            return Err(self.refusal());
        }
        match serde_json::from_slice(&self.body) {
            Ok(value) => Ok(Answer { value, json: self.body }),
            Err(error) => Err(CliError::new(ExitKind::Io, format!("the engine's answer cannot be read: {error}"))
                .help("is the engine of another version? compare: spoolhook version, spoolhook status --json")),
        }
    }
}
