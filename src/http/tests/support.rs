//! A scripted server on loopback, and a client that may talk to it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::env::SystemClock;
use crate::http::{Endpoint, Evidence, NetworkSettings, Origin, Transport, UreqTransport};
use crate::model::{Outcome, Secret, Subscription};
use crate::wire::Request;

pub(super) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// Long enough for anything that answers, on a busy machine too.
pub(super) const AMPLE: Duration = Duration::from_secs(5);
/// For exchanges that are meant to time out.
pub(super) const BRIEF: Duration = Duration::from_millis(150);

/// Lets time pass in a server that is slow on purpose.
pub(super) fn pause(wait: Duration) {
    let (_never, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(wait).unwrap_err();
}

pub(super) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// One connection as a script sees it.
pub(super) struct Peer<'a> {
    pub(super) stream: &'a mut dyn Stream,
    requests: &'a Mutex<Vec<String>>,
}

impl Peer<'_> {
    /// Reads one request, head and body; `None` when the client has closed.
    pub(super) fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    self.requests.lock().unwrap().push(text.clone());
                    return Some(text);
                }
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    pub(super) fn answer(&mut self, bytes: &[u8]) {
        // The client may be gone already, which is what many a script provokes.
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// Stays silent until the client closes.
    pub(super) fn hang(&mut self) {
        while self.stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// `script` plays each connection, on a thread of its own; `wrap` puts TLS around it, or nothing.
    pub(super) fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        Self::start_raw(move |mut stream, requests| {
            script(&mut Peer { stream: &mut stream, requests });
        })
    }

    pub(super) fn start_raw(script: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (seen, counter, script) = (Arc::clone(&requests), Arc::clone(&connections), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || script(stream.unwrap(), &seen));
            }
        });
        Self { address, requests, connections }
    }

    /// Answers every request on every connection with the same bytes.
    pub(super) fn answering(bytes: &'static [u8]) -> Self {
        Self::start(move |peer| {
            while peer.request().is_some() {
                peer.answer(bytes);
            }
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hooks/t0ken?key=s3cret", self.address)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(super) fn peer<'a>(stream: &'a mut dyn Stream, requests: &'a Mutex<Vec<String>>) -> Peer<'a> {
    Peer { stream, requests }
}

pub(super) fn settings() -> NetworkSettings {
    NetworkSettings { proxy: Secret::new("none"), ..NetworkSettings::default() }
}

pub(super) fn transport() -> UreqTransport {
    UreqTransport::new(&settings(), Arc::new(SystemClock::new())).unwrap()
}

pub(super) fn subscription(url: &str) -> Subscription {
    Subscription { dialect: "carbon".to_owned(), timeout: AMPLE, max_in_flight: 16, ..Subscription::new("oms", url) }
}

pub(super) fn request() -> Request {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Request { headers, body: br#"{"id":1}"#.to_vec() }
}

/// A transport and one endpoint of it.
pub(super) struct Client {
    pub(super) transport: UreqTransport,
    pub(super) endpoint: Endpoint,
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        Self::of(&subscription(url))
    }

    pub(super) fn of(subscription: &Subscription) -> Self {
        let transport = transport();
        let endpoint = transport.endpoint(subscription, Origin::File).unwrap();
        Self { transport, endpoint }
    }

    pub(super) fn send(&self, timeout: Duration) -> Evidence {
        let evidence = self.transport.send(&self.endpoint, &request(), timeout);
        if let Err(failure) = &evidence.result {
            for secret in ["t0ken", "s3cret", "hooks"] {
                assert!(!failure.message.contains(secret), "{}", failure.message);
            }
        }
        evidence
    }
}

/// The outcome that dispatch would see.
pub(super) fn outcome(evidence: &Evidence) -> Outcome {
    match &evidence.result {
        Ok(response) => Outcome::of_status(response.status),
        Err(failure) => failure.outcome,
    }
}
