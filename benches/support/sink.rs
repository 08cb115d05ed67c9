//! The receiver all contestants send to (`src/bench/sink.rs` says what it answers): this program run again as a process of
//! its own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// The argument that makes this program a sink.
pub const ARGUMENT: &str = "--sink";

/// Serves until the process is ended; prints its port first.
pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    spoolhook::bench::serve(&listener, &Default::default())
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
