//! One connection as ureq sees it: plain or TLS, with the buffers of both directions.
//!
//! Output is held back until input is awaited or the buffer is full, so that head and body leave in one write. Bytes
//! count as sent when they are handed to the socket (plain) or to the TLS session (which may still hold them: the
//! count then errs on the side of "something may have left").
//!
//! A receiver may answer and close before it has read everything (413, 401, a TLS alert). So when sending breaks, we
//! still look for an answer; only if there is none does the break become the failure.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::Failure;
use super::classify::{Stop, is_tls_error, stream_failure};
use super::exchange::{self, Phase};
use super::socket::Socket;

/// The longest request head line that fits, and what is gathered before a write.
const OUTPUT_STEP: usize = 16 * 1024;
const INPUT_START: usize = 8 * 1024;
/// Above ureq's limit on a response head, so that ureq is the one who says "too large".
const INPUT_MAX: usize = 80 * 1024;

pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => {
                while !bytes.is_empty() {
                    let written = socket.write(bytes)?;
                    if written == 0 {
                        return Err(ErrorKind::WriteZero.into());
                    }
                    exchange::count_sent(written);
                    bytes = &bytes[written..];
                }
                Ok(())
            }
            Stream::Tls(tls) => {
                exchange::count_sent(bytes.len());
                tls.write_all(bytes)?;
                tls.flush()
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(tls) => tls.read(buffer),
        }
    }
}

pub(super) struct Link {
    stream: Stream,
    remote: SocketAddr,
    buffers: LinkBuffers,
    /// Why nothing more can be sent.
    broken: Option<Failure>,
}

/// ```text
/// output: | gathered (..held) | free, at least OUTPUT_STEP |
/// input:  | consumed (..start) | unread (start..end) | free |
/// ```
#[derive(Default)]
struct LinkBuffers {
    output: Vec<u8>,
    held: usize,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the last look at the input used any of it; if not, more must be read first.
    progressed: bool,
}

impl LinkBuffers {
    /// Less than a step is ever held, so two are always enough; growing and shrinking would cost a copy per request.
    fn make_room(&mut self) {
        if self.output.is_empty() {
            self.output = vec![0; 2 * OUTPUT_STEP];
        }
    }

    /// Gives back what one large exchange made the input grow to.
    fn shrink(&mut self) {
        if self.input.len() > INPUT_START {
            self.input = Vec::new();
            (self.start, self.end) = (0, 0);
        }
    }
}

impl Buffers for LinkBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.make_room();
        &mut self.output[self.held..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.input.len() && self.input.len() < INPUT_MAX {
            self.input.resize((self.input.len() * 2).clamp(INPUT_START, INPUT_MAX), 0);
        }
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.start += amount;
        self.progressed = amount > 0;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// ureq uses the first slice for chunked bodies only; ours always have a length.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room();
        (&mut [], &mut self.output[self.held..])
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.progressed
    }
}

impl Link {
    pub(super) fn new(stream: Stream, remote: SocketAddr) -> Self {
        Self { stream, remote, buffers: LinkBuffers::default(), broken: None }
    }

    fn flush(&mut self) -> Result<(), ureq::Error> {
        let held = std::mem::take(&mut self.buffers.held);
        if held == 0 || self.broken.is_some() {
            return Ok(());
        }
        exchange::enter(Phase::Sending);
        exchange::reach(self.remote);
        if let Err(error) = self.stream.send(&self.buffers.output[..held]) {
            let failure = stream_failure(&error);
            if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) {
                return Err(Stop::because(failure));
            }
            self.broken = Some(failure);
        }
        exchange::enter(Phase::Waiting);
        Ok(())
    }
}

impl Transport for Link {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.buffers.held += amount;
        if self.buffers.held < OUTPUT_STEP { Ok(()) } else { self.flush() }
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.flush()?;
        let received = match (self.stream.receive(self.buffers.input_append_buf()), &self.broken) {
            (Ok(0), Some(broken)) => return Err(Stop::because(broken.clone())),
            (Ok(received), _) => received,
            (Err(error), Some(broken)) if !is_tls_error(&error) => return Err(Stop::because(broken.clone())),
            (Err(error), _) => return Err(Stop::because(stream_failure(&error))),
        };
        self.buffers.input_appended(received);
        Ok(received > 0)
    }

    fn is_open(&mut self) -> bool {
        self.buffers.shrink();
        self.broken.is_none() && self.stream.socket().is_quiet()
    }

    fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Link").field("tls", &self.is_tls()).finish_non_exhaustive()
    }
}
