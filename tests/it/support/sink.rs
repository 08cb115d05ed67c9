//! A receiver of its own, sharing no code with the engine: it notes every request when its head is there, and again
//! when its body is, so that a transmission that a kill cut off counts as one.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::free_port;

/// What arrived of one delivery, known by its `X-Delivery-Id`.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Requests whose head came in.
    pub begun: u32,
    /// Requests that came in whole.
    pub whole: u32,
    /// Requests that were answered 200.
    pub taken: u32,
    /// The value of `"event"` in the body.
    pub event: String,
    /// Bodies of this delivery were not all the same.
    pub differs: bool,
    /// Number of the attempt and of the engine that made it, for each request whose head came in, as `X-Attempt` and
    /// `X-Run` say; 0 where they say nothing.
    pub sent: Vec<(u32, u32)>,
    body: u64,
}

impl Seen {
    /// Takes in what arrived of the same delivery elsewhere.
    pub fn absorb(&mut self, other: Self) {
        self.differs |= other.differs;
        if self.whole > 0 && other.whole > 0 {
            self.differs |= (self.body, &self.event) != (other.body, &other.event);
        } else if other.whole > 0 {
            (self.body, self.event) = (other.body, other.event);
        }
        self.begun += other.begun;
        self.whole += other.whole;
        self.taken += other.taken;
        self.sent.extend(other.sent);
    }
}

/// Status of the answer, by path, delivery id and the number of times this delivery has come.
pub type Decide = dyn Fn(&str, &str, u32) -> u16 + Send + Sync;

#[derive(Default)]
struct Log {
    /// By path, then by delivery id.
    seen: HashMap<String, HashMap<String, Seen>>,
    /// Deliveries taken at least once, by path.
    taken: HashMap<String, usize>,
    faults: Vec<String>,
}

struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    stopping: AtomicBool,
    decide: Box<Decide>,
}

/// Listens until it is dropped.
pub struct Sink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Sink {
    pub fn start(decide: impl Fn(&str, &str, u32) -> u16 + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind(free_port()).expect("listen on the loopback"), decide)
    }

    /// Serves what comes in on `listener`.
    pub fn on(listener: TcpListener, decide: impl Fn(&str, &str, u32) -> u16 + Send + Sync + 'static) -> Self {
        let addr = listener.local_addr().expect("the listener's address");
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            decide: Box::new(decide),
        });
        let serving = shared.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, stream) = (serving.clone(), stream.expect("accept a connection"));
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { addr, shared, accepting: Some(accepting) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits until `count` different deliveries were answered 200 on `path`; how many were when time is up.
    pub fn wait_for(&self, path: &str, count: usize, at_most: Duration) -> usize {
        let log = self.shared.log.lock().expect("no connection panics");
        let taken = |log: &Log| log.taken.get(path).copied().unwrap_or(0);
        let (log, _) = self
            .shared
            .changed
            .wait_timeout_while(log, at_most, |log| taken(log) < count)
            .expect("no connection panics");
        taken(&log)
    }

    /// Everything that arrived on `path`, by delivery id.
    pub fn seen(&self, path: &str) -> HashMap<String, Seen> {
        self.shared.log.lock().expect("no connection panics").seen.get(path).cloned().unwrap_or_default()
    }

    /// Requests that are not what a webhook should be, in words.
    pub fn faults(&self) -> Vec<String> {
        self.shared.log.lock().expect("no connection panics").faults.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

struct Head {
    path: String,
    id: String,
    length: usize,
    attempt: u32,
    run: u32,
}

impl Shared {
    /// One connection, until it ends; a kill ends it anywhere.
    fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Ok(mut out) = stream.try_clone() else { return };
        let mut input = BufReader::with_capacity(64 << 10, stream);
        loop {
            let head = match read_head(&mut input) {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(fault) => return self.log.lock().expect("no connection panics").faults.push(fault),
            };
            let number = self.note(&head, |seen| {
                seen.begun += 1;
                seen.sent.push((head.attempt, head.run));
                seen.begun
            });
            let mut body = vec![0; head.length];
            if input.read_exact(&mut body).is_err() {
                return;
            }
            let status = (self.decide)(&head.path, &head.id, number);
            self.take(&head, &body, status);
            let answer = format!("HTTP/1.1 {status} answer\r\nContent-Length: 0\r\n\r\n");
            if out.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn note<V>(&self, head: &Head, change: impl FnOnce(&mut Seen) -> V) -> V {
        let mut log = self.log.lock().expect("no connection panics");
        change(log.seen.entry(head.path.clone()).or_default().entry(head.id.clone()).or_default())
    }

    fn take(&self, head: &Head, body: &[u8], status: u16) {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let hash = hasher.finish();
        let event = event_of(body);
        let is_first_taken = self.note(head, |seen| {
            seen.differs |= seen.whole > 0 && (seen.body != hash || seen.event != event);
            seen.whole += 1;
            seen.body = hash;
            seen.event = event;
            seen.taken += u32::from(status == 200);
            status == 200 && seen.taken == 1
        });
        if is_first_taken {
            *self.log.lock().expect("no connection panics").taken.entry(head.path.clone()).or_default() += 1;
            self.changed.notify_all();
        }
    }
}

/// `None` when the connection ends, be it in the middle of a head.
fn read_head(input: &mut impl BufRead) -> Result<Option<Head>, String> {
    let mut line = String::new();
    let mut next = || {
        line.clear();
        let is_whole = input.read_line(&mut line).is_ok() && line.ends_with("\r\n");
        is_whole.then(|| line.trim_end().to_owned())
    };
    let Some(request) = next() else { return Ok(None) };
    let path = request.strip_prefix("POST ").and_then(|rest| rest.split_once(' '));
    let path = path.ok_or_else(|| format!("not a POST: {request}"))?.0.to_owned();
    let (mut id, mut length) = (None, None);
    let (mut attempt, mut run) = (0, 0);
    loop {
        let Some(line) = next() else { return Ok(None) };
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| format!("not a header: {line}"))?;
        match name.to_ascii_lowercase().as_str() {
            "x-delivery-id" => id = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok(),
            "x-attempt" => attempt = value.trim().parse().unwrap_or(0),
            "x-run" => run = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    match (id, length) {
        (Some(id), Some(length)) => Ok(Some(Head { path, id, length, attempt, run })),
        _ => Err(format!("no delivery id or no content-length: {request}")),
    }
}

fn event_of(body: &[u8]) -> String {
    let key = b"\"event\":\"";
    let start = memchr::memmem::find(body, key).map_or(body.len(), |at| at + key.len());
    let end = memchr::memchr(b'"', &body[start..]).map_or(body.len(), |len| start + len);
    String::from_utf8_lossy(&body[start..end]).into_owned()
}
