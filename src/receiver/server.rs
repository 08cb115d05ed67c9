//! The server: its thread, what happens to a request, and what it remembers.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{StatusCode, request};
use axum::response::Response;
use tokio::sync::watch;

use super::connection::{Acceptor, Fuse};
use super::options::Options;
use super::record::Received;
use super::save::Album;

/// Largest body taken; a larger one is answered 413.
const MAX_BODY_BYTES: usize = 64 << 20;

/// How long a stopping receiver waits for requests under way.
const GRACE: Duration = Duration::from_secs(2);

/// A running receiver. Dropping it stops it.
pub struct Receiver {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    options: Options,
    album: Option<Album>,
    last_number: AtomicU64,
    dice: Mutex<fastrand::Rng>,
    log: Mutex<Log>,
    arrived: Condvar,
    stopping: watch::Receiver<bool>,
}

#[derive(Default)]
struct Log {
    count: usize,
    /// Only with `collect`.
    requests: Vec<Received>,
}

impl Receiver {
    /// Listens on `addr` (port 0 picks one) and serves until stopped. Fails when the address is taken, the options
    /// contradict themselves or the directory for saved requests cannot be used.
    pub fn start(addr: SocketAddr, options: Options) -> io::Result<Self> {
        options.check()?;
        let (album, last_number) = match &options.save {
            Some(dir) => Album::open(dir, Arc::clone(&options.files)).map(|(album, last)| (Some(album), last))?,
            None => (None, 0),
        };
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            dice: Mutex::new(fastrand::Rng::with_seed(options.seed)),
            options,
            album,
            last_number: AtomicU64::new(last_number),
            log: Mutex::default(),
            arrived: Condvar::new(),
            stopping,
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, serving)) {
                tracing::error!(%error, "the receiver stopped");
            }
        })?;
        Ok(Self { addr, shared, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Requests taken so far.
    pub fn count(&self) -> usize {
        self.shared.log().count
    }

    /// The requests so far; empty without the option `collect`.
    pub fn received(&self) -> Vec<Received> {
        self.shared.log().requests.clone()
    }

    /// Waits until `count` requests have come in all; false when they have not within `timeout`. A request counts
    /// before it is answered.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> bool {
        let (log, _) = self
            .shared
            .arrived
            .wait_timeout_while(self.shared.log(), timeout, |log| log.count < count)
            .unwrap_or_else(PoisonError::into_inner);
        log.count >= count
    }

    /// Stops listening, lets requests under way finish for a moment (hanging ones are reset) and joins the thread.
    pub fn stop(mut self) {
        self.halt();
    }

    fn halt(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the receiver's thread panicked");
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.halt();
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let listener = Acceptor(tokio::net::TcpListener::from_std(listener)?);
    let (closing, overdue) = (shared.stopped(), shared.stopped());
    let router = Router::new().fallback(handle).with_state(shared);
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<Fuse>());
    tokio::select! {
        ended = server.with_graceful_shutdown(closing) => ended,
        () = async { overdue.await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

async fn handle(State(shared): State<Arc<Shared>>, ConnectInfo(fuse): ConnectInfo<Fuse>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 MiB or ended early\n");
    };
    let options = &shared.options;
    let number = shared.last_number.fetch_add(1, Ordering::Relaxed) + 1;
    let mut status = shared.next_status(number);
    if options.looks_at_requests() {
        match shared.look_at(number, status, &head, body.into()) {
            Ok(decided) => status = decided,
            Err(error) => {
                tracing::error!(%error, number, "a request could not be saved");
                return plain(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be saved\n");
            }
        }
    } else {
        shared.count(None);
    }
    if options.hang {
        shared.stopped().await;
    } else if !options.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(options.delay) => {}
            () = shared.stopped() => {}
        }
    }
    if options.hang || options.reset {
        fuse.blow();
    }
    answer(options, status)
}

fn answer(options: &Options, status: u16) -> Response {
    let mut answer = Response::builder().status(status);
    if let Some(seconds) = options.retry_after.filter(|_| !(200..300).contains(&status)) {
        answer = answer.header(RETRY_AFTER, seconds);
    }
    if !options.body.is_empty() {
        let kind = if options.body.starts_with(b"{") { "application/json" } else { "text/plain; charset=utf-8" };
        answer = answer.header(CONTENT_TYPE, kind);
    }
    answer.body(Body::from(options.body.clone())).expect("the options were checked")
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer
}

impl Shared {
    /// Resolves when the receiver is told to stop, or is gone.
    fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    }

    fn next_status(&self, number: u64) -> u16 {
        let options = &self.options;
        if options.fail_rate > 0.0 && self.dice.lock().unwrap_or_else(PoisonError::into_inner).f64() < options.fail_rate
        {
            return 500;
        }
        let turn = (number - 1) % options.statuses.len() as u64;
        options.statuses[usize::try_from(turn).expect("less than the length of a list")]
    }

    /// Verifies, saves, shows and counts one request; the status to answer with.
    fn look_at(&self, number: u64, status: u16, head: &request::Parts, body: Vec<u8>) -> io::Result<u16> {
        let options = &self.options;
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let mut request = Received {
            number,
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: head.headers.iter().map(header).collect(),
            body,
            received: options.clock.now(),
            verdict: None,
            status: None,
        };
        request.verdict = options.verify.as_ref().map(|verify| verify(&request));
        let rejected = options.reject_bad && request.verdict.as_ref().is_some_and(|verdict| !verdict.ok);
        let status = if rejected { 401 } else { status };
        request.status = Some(status).filter(|_| !options.hang && !options.reset);
        if let Some(album) = &self.album {
            album.save(&request)?;
        }
        if let Some(show) = &options.on_request {
            show(&request);
        }
        self.count(options.collect.then_some(request));
        Ok(status)
    }

    fn count(&self, request: Option<Received>) {
        let mut log = self.log();
        log.count += 1;
        log.requests.extend(request);
        drop(log);
        self.arrived.notify_all();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
