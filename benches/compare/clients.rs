//! The yardsticks: the same request, over and over, without an engine around it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CONNECTIONS;

/// Runs `requests` calls of what `client` makes, spread over the threads as each becomes free.
fn spread<C>(requests: u64, client: impl Fn() -> C + Send + Sync + 'static) -> io::Result<()>
where
    C: FnMut() -> io::Result<()>,
{
    let (client, taken) = (Arc::new(client), Arc::new(AtomicU64::new(0)));
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (client, taken) = (client.clone(), taken.clone());
            std::thread::spawn(move || {
                let mut call = client();
                while taken.fetch_add(1, Ordering::Relaxed) < requests {
                    call()?;
                }
                Ok(())
            })
        })
        .collect();
    threads.into_iter().try_for_each(|thread| thread.join().expect("a client does not panic"))
}

/// One write and one read per request, on one connection per thread.
pub fn bare_sockets(sink: SocketAddr, request: &[u8], requests: u64) -> io::Result<()> {
    let request = request.to_vec();
    spread(requests, move || {
        let (mut stream, request) = (TcpStream::connect(sink), request.clone());
        let mut answer = [0; 4096];
        move || {
            let stream = stream.as_mut().map_err(|error| io::Error::from(error.kind()))?;
            stream.write_all(&request)?;
            let read = stream.read(&mut answer)?;
            if answer[..read].starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other("no answer")) }
        }
    })
}

/// The headers of a request that a client is to be given, and its body.
pub fn parts(request: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
    let head_end = memchr::memmem::find(request, b"\r\n\r\n").expect("a request has a head");
    let head = String::from_utf8_lossy(&request[..head_end]).into_owned();
    let own = |name: &str| matches!(name.to_ascii_lowercase().as_str(), "host" | "content-length");
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !own(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    (headers, request[head_end + 4..].to_vec())
}

/// ureq as it comes, an agent per thread, no timeouts.
pub fn bare_ureq(sink: SocketAddr, request: &[u8], requests: u64) -> io::Result<()> {
    let (headers, body) = parts(request);
    let url = format!("http://{sink}/hook");
    spread(requests, move || {
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        let (headers, body, url) = (headers.clone(), body.clone(), url.clone());
        move || {
            let mut post = agent.post(&url);
            for (name, value) in &headers {
                post = post.header(name, value);
            }
            let mut response = post.send(&body[..]).map_err(io::Error::other)?;
            response.body_mut().read_to_vec().map_err(io::Error::other)?;
            Ok(())
        }
    })
}
