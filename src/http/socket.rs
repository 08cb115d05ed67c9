//! A TCP socket that obeys the deadline of the transmission under way on this thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;

use super::exchange;

/// Shared (weakly) with its pool, which can shut it down from another thread.
pub(super) struct Socket {
    stream: Arc<TcpStream>,
    read_timeout: Duration,
    write_timeout: Duration,
}

/// Rounds a wait up, so that consecutive waits are equal and most requests set no socket option at all.
/// At most 100 ms late, 10 ms in the last second.
fn round_up(wait: Duration) -> Duration {
    let grain_ms = if wait > Duration::from_secs(1) { 100 } else { 10 };
    let wait_ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX - grain_ms);
    Duration::from_millis(wait_ms.next_multiple_of(grain_ms))
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream), read_timeout: Duration::ZERO, write_timeout: Duration::ZERO }
    }

    pub(super) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Whether the peer has neither closed nor sent anything unasked: the state of a reusable idle connection.
    pub(super) fn is_quiet(&self) -> bool {
        let mut fds = [PollFd::new(&*self.stream, PollFlags::IN | PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
    }

    /// Reads what is there, without waiting (`WouldBlock`).
    pub(super) fn at_once(&self) -> AtOnce<'_> {
        AtOnce(&self.stream)
    }

    /// Repeats `io` until it is done or the deadline passes (`TimedOut`).
    fn before_deadline<T>(
        &mut self,
        set_timeout: impl Fn(&mut Self, Duration) -> io::Result<()>,
        mut io: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            if exchange::remaining().is_zero() && !exchange::resume() {
                return Err(ErrorKind::TimedOut.into());
            }
            set_timeout(self, round_up(exchange::remaining()).max(Duration::from_millis(10)))?;
            match io(&self.stream) {
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                done => return done,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let set = |socket: &mut Self, wait| {
            if socket.read_timeout != wait {
                socket.stream.set_read_timeout(Some(wait))?;
                socket.read_timeout = wait;
            }
            Ok(())
        };
        match self.before_deadline(set, |mut stream| stream.read(buffer)) {
            // What came in time and was not looked at, since another answer was read meanwhile, counts.
            Err(late) if late.kind() == ErrorKind::TimedOut => self
                .at_once()
                .read(buffer)
                .map_err(|error| if error.kind() == ErrorKind::WouldBlock { late } else { error }),
            done => done,
        }
    }
}

pub(super) struct AtOnce<'a>(&'a TcpStream);

impl Read for AtOnce<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.0, buffer, RecvFlags::DONTWAIT)?.0)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let set = |socket: &mut Self, wait| {
            if socket.write_timeout != wait {
                socket.stream.set_write_timeout(Some(wait))?;
                socket.write_timeout = wait;
            }
            Ok(())
        };
        self.before_deadline(set, |mut stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_and_never_zero() {
        assert_eq!(round_up(Duration::from_nanos(1)), Duration::from_millis(10));
        assert_eq!(round_up(Duration::from_millis(10)), Duration::from_millis(10));
        assert_eq!(round_up(Duration::from_millis(14_950)), Duration::from_secs(15));
        assert_eq!(round_up(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
