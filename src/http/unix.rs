//! HTTP over a unix socket: how the command line talks to a running engine. The socket's file mode is the access
//! control, so no token is sent.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Method, Request};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport as UreqTransport,
};
use ureq::{Agent, Body};

use super::pool::bare_agent;

/// How long the engine may be silent before a plain request gives up.
const SILENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 16 * 1024;

/// A client for one socket. Each request has its own connection.
#[derive(Clone)]
pub struct UnixClient {
    path: PathBuf,
}

impl UnixClient {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a request (`target` is path and query, `body` is JSON) and reads the whole answer: status and body.
    /// Nobody listening is `NotFound` or `ConnectionRefused`; 30 s of silence is `TimedOut`.
    pub fn request(&self, method: &str, target: &str, body: Option<&[u8]>) -> io::Result<(u16, Vec<u8>)> {
        let (status, answer) = self.call(method, target, body, Some(SILENCE))?;
        let mut bytes = Vec::new();
        answer.into_reader().read_to_end(&mut bytes)?;
        Ok((status, bytes))
    }

    /// Sends a GET whose answer is a stream, and yields its lines as they come, for as long as they come.
    pub fn lines(&self, target: &str) -> io::Result<(u16, impl Iterator<Item = io::Result<String>> + use<>)> {
        let (status, answer) = self.call("GET", target, None, None)?;
        Ok((status, BufReader::new(answer.into_reader()).lines()))
    }

    fn call(
        &self,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
        silence: Option<Duration>,
    ) -> io::Result<(u16, Body)> {
        let agent: Agent = bare_agent(UnixConnector { path: self.path.clone(), silence });
        let method = Method::from_bytes(method.as_bytes()).map_err(io::Error::other)?;
        let needs_length = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        let builder = Request::builder().method(method).uri(format!("http://localhost{target}"));
        let response = match body {
            None if needs_length => agent.run(builder.body(&[] as &[u8]).map_err(io::Error::other)?),
            None => agent.run(builder.body(()).map_err(io::Error::other)?),
            Some(bytes) => {
                let json = builder.header("Content-Type", "application/json");
                agent.run(json.body(bytes).map_err(io::Error::other)?)
            }
        };
        let response = response.map_err(ureq::Error::into_io)?;
        Ok((response.status().as_u16(), response.into_body()))
    }
}

#[derive(Debug)]
struct UnixConnector {
    path: PathBuf,
    silence: Option<Duration>,
}

impl Connector for UnixConnector {
    type Out = UnixLink;

    fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<UnixLink>, ureq::Error> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(self.silence)?;
        stream.set_write_timeout(self.silence)?;
        Ok(Some(UnixLink { stream, buffers: LazyBuffers::new(BUFFER, BUFFER) }))
    }
}

struct UnixLink {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl UreqTransport for UnixLink {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::Error::from(io::ErrorKind::TimedOut).into());
                }
                Err(error) => return Err(error.into()),
                Ok(received) => {
                    self.buffers.input_appended(received);
                    return Ok(received > 0);
                }
            }
        }
    }

    /// Never pooled: the command line makes one request and ends.
    fn is_open(&mut self) -> bool {
        false
    }
}

impl fmt::Debug for UnixLink {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("UnixLink").finish_non_exhaustive()
    }
}
