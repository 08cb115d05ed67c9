//! One connection, plain or TLS, with the buffers of both directions.
//!
//! The request is ours, a [`Message`], and goes out in one write; ureq only reads the answer. What
//! ureq itself writes is the head of a stand-in and is dropped. Building heads through ureq took 25,000 instructions per
//! request and two copies of it, this takes 3,000.
//!
//! Bytes count as sent when they are handed to the socket (plain) or to the TLS session (which may still hold them: the
//! count then errs on the side of "something may have left").
//!
//! A receiver may answer and close before it has read everything (413, 401, a TLS alert). So when sending breaks, we
//! still look for an answer; only if there is none does the break become the failure.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use rustls::{ClientConnection, StreamOwned};
use ureq::unversioned::transport::Buffers;

use super::Failure;
use super::classify::{is_tls_error, stream_failure};
use super::exchange::{self, Phase};
use super::message::Message;
use super::socket::Socket;

/// What the head of a stand-in takes, and more.
const STAND_IN_MAX: usize = 256;
/// Most answers are short, and there may be thousands of connections.
const INPUT_START: usize = 1024;
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
    /// It has just brought an answer.
    answered: bool,
}

/// ```text
/// input:  | consumed (..start) | unread (start..end) | free |
/// ```
struct LinkBuffers {
    stand_in: [u8; STAND_IN_MAX],
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the last look at the input used any of it; if not, more must be read first.
    progressed: bool,
}

impl LinkBuffers {
    fn new() -> Self {
        Self { stand_in: [0; STAND_IN_MAX], input: Vec::new(), start: 0, end: 0, progressed: false }
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
        &mut self.stand_in
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

    /// ureq uses the first slice for chunked bodies only; a stand-in has none.
    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut [], &mut self.stand_in)
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.progressed
    }
}

impl Link {
    pub(super) fn new(stream: Stream, remote: SocketAddr) -> Self {
        Self { stream, remote, buffers: LinkBuffers::new(), broken: None, answered: false }
    }

    pub(super) fn socket(&self) -> &Socket {
        self.stream.socket()
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    pub(super) fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Sends a whole request.
    pub(super) fn send(&mut self, message: &Message) -> Result<(), Failure> {
        exchange::enter(Phase::Sending);
        exchange::reach(self.remote);
        if let Err(error) = self.stream.send(message.bytes()) {
            let failure = stream_failure(&error);
            if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) {
                return Err(failure);
            }
            self.broken = Some(failure);
        }
        exchange::enter(Phase::Waiting);
        Ok(())
    }

    /// Waits for more of the answer. `false`: there is no more.
    pub(super) fn receive(&mut self) -> Result<bool, Failure> {
        let received = match (self.stream.receive(self.buffers.input_append_buf()), &self.broken) {
            (Ok(0), Some(broken)) => return Err(broken.clone()),
            (Ok(received), _) => received,
            (Err(error), Some(broken)) if !is_tls_error(&error) => return Err(broken.clone()),
            (Err(error), _) => return Err(stream_failure(&error)),
        };
        self.buffers.input_appended(received);
        self.answered = received > 0;
        Ok(received > 0)
    }

    /// Whether, now that the socket can be read, an answer has begun or the connection ended. TLS has records of its own,
    /// such as session tickets, that are no answer.
    pub(super) fn is_answering(&mut self) -> bool {
        let Stream::Tls(tls) = &mut self.stream else { return true };
        loop {
            match tls.conn.process_new_packets() {
                Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                _ => return true,
            }
            match tls.conn.read_tls(&mut tls.sock.at_once()) {
                Ok(read) if read > 0 => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                _ => return true,
            }
        }
    }

    /// Whether the peer sent more than was read.
    fn holds_more(&mut self) -> bool {
        match &mut self.stream {
            Stream::Plain(_) => false,
            Stream::Tls(tls) => !tls.conn.process_new_packets().is_ok_and(|state| state.plaintext_bytes_to_read() == 0),
        }
    }

    /// Whether another request may follow the one that was just answered. Whether the peer has closed is seen when it is
    /// taken out again.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.buffers.shrink();
        self.broken.is_none() && std::mem::take(&mut self.answered) && !self.holds_more()
    }
}
