//! The receiver all contestants send to: this program run again as a process of its own. Keep-alive HTTP/1.1 on bare
//! sockets, a thread per connection; it answers every request with an empty 200 as soon as its body is there.
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
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{now_ns, pause};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// The argument that makes this program a sink.
pub const ARGUMENT: &str = "--sink";

#[derive(Default)]
struct Tally {
    count: AtomicU64,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
    first: Mutex<Vec<u8>>,
    ages_ns: Mutex<Vec<u64>>,
}

/// Serves until the process is ended; prints its port first.
pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let tally = Arc::new(Tally::default());
    for stream in listener.incoming() {
        let (stream, tally) = (stream?, tally.clone());
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || answer(stream, &tally))?;
    }
    Ok(())
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
        match stream.read(&mut buffer[filled..]) {
            Ok(0) | Err(_) => return,
            Ok(read) => filled += read,
        }
        while let Some((head, end)) = whole_request(&buffer[..filled]) {
            let sent = if buffer.starts_with(b"GET ") {
                let said = tell(&buffer[..head], tally);
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
                count(&buffer[..end], head, tally);
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

fn count(request: &[u8], head: usize, tally: &Tally) {
    let at_ns = now_ns();
    if tally.count.fetch_add(1, Ordering::Relaxed) == 0 {
        tally.first_ns.store(at_ns, Ordering::Relaxed);
        *tally.first.lock().unwrap_or_else(PoisonError::into_inner) = request.to_vec();
    }
    tally.last_ns.fetch_max(at_ns, Ordering::Relaxed);
    if let Some(at) = memchr::memmem::find(&request[head..], b"\"sent\":") {
        let digits = request[head + at + 7..].iter().take_while(|byte| byte.is_ascii_digit());
        let sent_ns = digits.fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
        tally.ages_ns.lock().unwrap_or_else(PoisonError::into_inner).push(at_ns.saturating_sub(sent_ns));
    }
}

fn tell(head: &[u8], tally: &Tally) -> Vec<u8> {
    if head.starts_with(b"GET /first ") {
        return tally.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
    }
    let mut ages = tally.ages_ns.lock().unwrap_or_else(PoisonError::into_inner);
    if head.starts_with(b"GET /ages ") {
        return ages.iter().map(|age| format!("{age}\n")).collect::<String>().into_bytes();
    }
    if head.starts_with(b"GET /reset ") {
        ages.clear();
        [&tally.count, &tally.first_ns, &tally.last_ns].iter().for_each(|value| value.store(0, Ordering::Relaxed));
    }
    let (first, last) = (tally.first_ns.load(Ordering::Relaxed), tally.last_ns.load(Ordering::Relaxed));
    format!("{} {}", tally.count.load(Ordering::Relaxed), last - first).into_bytes()
}

/// A sink that runs, from outside.
pub struct Sink {
    process: Child,
    pub address: SocketAddr,
}

impl Sink {
    pub fn start() -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?).arg(ARGUMENT).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let mut output = io::BufReader::new(process.stdout.take().expect("its output is piped"));
        io::BufRead::read_line(&mut output, &mut line)?;
        let port: u16 = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    pub fn ask(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = memchr::memmem::find(&answer, b"\r\n\r\n").map_or(0, |at| at + 4);
        Ok(answer.split_off(head))
    }

    /// Requests since the last reset, and the seconds from the first to the last.
    pub fn stats(&self) -> io::Result<(u64, f64)> {
        let text = String::from_utf8(self.ask("/stats")?).map_err(io::Error::other)?;
        let (count, ns) = text.split_once(' ').ok_or_else(|| io::Error::other("no stats"))?;
        let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
        Ok((number(count)?, number(ns)? as f64 / 1e9))
    }
}

impl Sink {
    /// The ages of the events of this run when they came, sorted.
    pub fn ages_ns(&self) -> io::Result<Vec<u64>> {
        let mut ages_ns: Vec<u64> = String::from_utf8_lossy(&self.ask("/ages")?).lines().flat_map(str::parse).collect();
        ages_ns.sort_unstable();
        Ok(ages_ns)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
