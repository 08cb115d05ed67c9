//! The receiver all contestants send to. Keep-alive HTTP/1.1 on bare sockets, a thread per connection; it answers every
//! request with an empty 200 as soon as its body is there.
//!
//! ```text
//!   POST /...        counted; the first request of a run is kept, and the age of a body that says `"sent":<ns>`
//!   POST /hang...    is never answered
//!   POST /reset...   the connection is reset when the head has come
//!   POST /drip...    an answer of one byte per second
//!   GET /stats       -> "<requests> <nanoseconds from the first to the last>"
//!   GET /first       -> the bytes of the first request
//!   GET /ages        -> one age in nanoseconds per line
//!   GET /reset       a new run
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::time::{now_ns, pause};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const STACK_BYTES: usize = 128 << 10;

/// What came since the last reset.
#[derive(Default)]
pub struct Tally {
    count: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
    first: Mutex<Vec<u8>>,
    ages_ns: Mutex<Vec<u64>>,
}

/// Answers who connects, until the process ends.
pub fn serve(listener: &TcpListener, tally: &Arc<Tally>) -> io::Result<()> {
    for stream in listener.incoming() {
        let (stream, tally) = (stream?, tally.clone());
        thread::Builder::new().stack_size(STACK_BYTES).spawn(move || answer(stream, &tally))?;
    }
    Ok(())
}

/// A sink on threads of this process. They end with their connections; the one that takes new ones ends with the process.
pub struct Sink {
    pub address: SocketAddr,
    tally: Arc<Tally>,
}

impl Sink {
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = Self { address: listener.local_addr()?, tally: Arc::default() };
        let tally = sink.tally.clone();
        // When it can take no more connections, what is measured comes to a halt, and whoever measures says so.
        thread::Builder::new().name("sink".to_owned()).spawn(move || drop(serve(&listener, &tally)))?;
        Ok(sink)
    }

    pub fn reset(&self) {
        self.tally.reset();
    }

    /// Requests since the last reset.
    pub fn count(&self) -> u64 {
        self.tally.count.load(Ordering::Relaxed)
    }

    /// Requests since the last reset, and the seconds from the first to the last.
    pub fn stats(&self) -> (u64, f64) {
        let (count, ns) = self.tally.stats();
        (count, ns as f64 / 1e9)
    }

    /// The bytes of the first request since the last reset.
    pub fn first_request(&self) -> Vec<u8> {
        self.tally.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The ages of the events of this run when they came, sorted.
    pub fn ages_ns(&self) -> Vec<u64> {
        let mut ages_ns = self.tally.ages_ns.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ages_ns.sort_unstable();
        ages_ns
    }
}

impl Tally {
    /// Requests, and nanoseconds from the first to the last.
    fn stats(&self) -> (u64, u64) {
        let (first, last) = (self.first_ns.load(Ordering::Relaxed), self.last_ns.load(Ordering::Relaxed));
        (self.count.load(Ordering::Relaxed), last.saturating_sub(first))
    }

    fn reset(&self) {
        self.ages_ns.lock().unwrap_or_else(PoisonError::into_inner).clear();
        [&self.count, &self.first_ns, &self.last_ns].iter().for_each(|value| value.store(0, Ordering::Relaxed));
    }

    fn count(&self, request: &[u8], head: usize) {
        let at_ns = now_ns();
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first_ns.store(at_ns, Ordering::Relaxed);
            *self.first.lock().unwrap_or_else(PoisonError::into_inner) = request.to_vec();
        }
        self.last_ns.fetch_max(at_ns, Ordering::Relaxed);
        if let Some(at) = memchr::memmem::find(&request[head..], b"\"sent\":") {
            let digits = request[head + at + 7..].iter().take_while(|byte| byte.is_ascii_digit());
            let sent_ns = digits.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
            self.ages_ns.lock().unwrap_or_else(PoisonError::into_inner).push(at_ns.saturating_sub(sent_ns));
        }
    }

    /// The answer to a question about the run.
    fn tell(&self, head: &[u8]) -> Vec<u8> {
        if head.starts_with(b"GET /first ") {
            return self.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
        }
        if head.starts_with(b"GET /ages ") {
            let ages_ns = self.ages_ns.lock().unwrap_or_else(PoisonError::into_inner);
            return ages_ns.iter().map(|age| format!("{age}\n")).collect::<String>().into_bytes();
        }
        if head.starts_with(b"GET /reset ") {
            self.reset();
        }
        let (count, ns) = self.stats();
        format!("{count} {ns}").into_bytes()
    }
}

/// The length of the first whole request in `bytes`: its head and its whole.
fn whole_request(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let length = memchr::memmem::find(&bytes[..head], b"Content-Length: ").map_or(0, |at| {
        let digits = bytes[at + 16..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
    });
    (bytes.len() >= head + length).then_some((head, head + length))
}

fn answer(mut stream: TcpStream, tally: &Tally) {
    let _ = stream.set_nodelay(true);
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        while let Some((head, end)) = whole_request(&buffer[..filled]) {
            let sent = if buffer.starts_with(b"GET ") {
                let said = tally.tell(&buffer[..head]);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
                stream.write_all(&[head.as_bytes(), &said].concat())
            } else if buffer.starts_with(b"POST /hang") {
                Ok(())
            } else if buffer.starts_with(b"POST /reset") {
                let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                return;
            } else if buffer.starts_with(b"POST /drip") {
                OK.chunks(1).try_for_each(|byte| {
                    pause(Duration::from_secs(1));
                    stream.write_all(byte)
                })
            } else {
                tally.count(&buffer[..end], head);
                stream.write_all(OK)
            };
            if sent.is_err() {
                return;
            }
            buffer.copy_within(end..filled, 0);
            filled -= end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(requests: &[u8]) -> (u64, Vec<u8>) {
        let sink = Sink::start().unwrap();
        let mut stream = TcpStream::connect(sink.address).unwrap();
        stream.write_all(requests).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        (sink.count(), answer)
    }

    #[test]
    fn every_request_of_a_connection_is_counted_and_answered() {
        let request = b"POST /hook HTTP/1.1\r\nContent-Length: 10\r\n\r\n{\"sent\":1}";
        assert_eq!(answer_to(&request.repeat(3)), (3, OK.repeat(3)));
        assert_eq!(answer_to(b"POST /hang HTTP/1.1\r\n\r\n"), (0, Vec::new()));
        let (_, stats) = answer_to(b"GET /stats HTTP/1.1\r\n\r\n");
        assert!(stats.ends_with(b"\r\n\r\n0 0"), "{stats:?}");
    }

    #[test]
    fn a_large_request_is_taken_whole() {
        let request = [b"POST /hook HTTP/1.1\r\nContent-Length: 200000\r\n\r\n".as_slice(), &[b'x'; 200_000]].concat();
        assert_eq!(answer_to(&request.repeat(2)), (2, OK.repeat(2)));
    }

    #[test]
    fn the_age_of_an_event_is_counted_from_when_it_says_it_was_written() {
        let sink = Sink::start().unwrap();
        let body = format!("{{\"sent\":{}}}", now_ns());
        let request = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(sink.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let _ = stream.read(&mut [0; 64]).unwrap();
        let ages_ns = sink.ages_ns();
        assert!(ages_ns.len() == 1 && ages_ns[0] < 60_000_000_000, "{ages_ns:?}");
    }
}
