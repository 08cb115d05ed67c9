//! The yardsticks: the same request, over and over, without an engine around it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use spoolhook::bench::spread;

use crate::CONNECTIONS;

/// Whether another of `requests` is wanted, asked by all threads.
fn until(requests: u64) -> impl Fn() -> bool + Sync {
    let taken = AtomicU64::new(0);
    move || taken.fetch_add(1, Ordering::Relaxed) < requests
}

/// One write and one read per request, on one connection per thread.
pub fn bare_sockets(sink: SocketAddr, request: &[u8], requests: u64) -> io::Result<()> {
    spoolhook::bench::bare_sockets(sink, request, CONNECTIONS, until(requests)).map(drop)
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
    let client = || {
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
    };
    spread(CONNECTIONS, until(requests), client).map(drop)
}
