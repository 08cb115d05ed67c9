//! The floor: the same request, over and over, without an engine around it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::usage::of_this_thread;

/// Calls what `client` makes on each of `threads` threads while `is_wanted` says so. Answers their CPU time.
pub fn spread<C>(
    threads: usize,
    is_wanted: impl Fn() -> bool + Sync,
    client: impl Fn() -> C + Sync,
) -> io::Result<Duration>
where
    C: FnMut() -> io::Result<()>,
{
    let work = || {
        let mut call = client();
        while is_wanted() {
            call()?;
        }
        Ok(of_this_thread())
    };
    thread::scope(|scope| {
        let started: io::Result<Vec<_>> =
            (0..threads).map(|_| thread::Builder::new().spawn_scoped(scope, work)).collect();
        started?.into_iter().map(|thread| thread.join().expect("a client does not panic")).sum()
    })
}

/// One write and one read per request, on one connection per thread.
pub fn bare_sockets(
    sink: SocketAddr,
    request: &[u8],
    threads: usize,
    is_wanted: impl Fn() -> bool + Sync,
) -> io::Result<Duration> {
    spread(threads, is_wanted, move || {
        let mut stream = TcpStream::connect(sink);
        let mut answer = [0; 4096];
        move || {
            let stream = stream.as_mut().map_err(|error| io::Error::from(error.kind()))?;
            stream.write_all(request)?;
            let read = stream.read(&mut answer)?;
            if answer[..read].starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other("no answer")) }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::Sink;
    use super::*;

    #[test]
    fn every_request_that_is_wanted_arrives_once() {
        let sink = Sink::start().unwrap();
        let taken = AtomicU64::new(0);
        let request = b"POST /hook HTTP/1.1\r\nContent-Length: 4\r\n\r\n1234";
        bare_sockets(sink.address, request, 3, || taken.fetch_add(1, Ordering::Relaxed) < 100).unwrap();
        assert_eq!(sink.count(), 100);
        assert_eq!(sink.first_request(), request);
        sink.reset();
        assert_eq!(sink.count(), 0);
    }

    #[test]
    fn a_sink_that_is_not_there_is_an_error() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(bare_sockets(nobody, b"", 1, || true).is_err());
    }
}
