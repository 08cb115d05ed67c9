//! Taking connections: over TCP as many as there may be, and on both ways on after an error.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, UnixListener, UnixStream, unix};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::Limits;
use super::connection::Connection;
use super::watch::Watch;

/// Between two lines that say the same.
const SILENCE: Duration = Duration::from_secs(600);

/// Something that is told now and then, however often it happens.
#[derive(Debug, Default)]
struct Told(Option<Instant>);

impl Told {
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|told| now.duration_since(told) >= SILENCE);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// The next connection, whatever becomes of others before it.
async fn next<T>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>> + Send,
    pause: Duration,
    told: &mut Told,
) -> T {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    loop {
        match poll_fn(&mut accept).await {
            Ok(taken) => return taken,
            // It was gone before it was ours.
            Err(error)
                if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) => {}
            // No descriptor or no memory. It stays in the kernel's queue, so that trying at once would be a loop.
            Err(error) => {
                if told.is_due(Instant::now()) {
                    tracing::warn!(%error, "cannot take a connection to the API; it waits");
                }
                sleep(pause).await;
            }
        }
    }
}

/// Who is at the other end of a connection over TCP.
#[derive(Clone, Debug)]
pub(in crate::admin) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) watch: Arc<Watch>,
}

impl Connected<IncomingStream<'_, Acceptor>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Acceptor>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Takes connections over TCP.
#[derive(Debug)]
pub(in crate::admin) struct Acceptor {
    listener: TcpListener,
    limits: Limits,
    seats: Arc<Semaphore>,
    guests: Vec<Weak<Watch>>,
    told_full: Told,
    told_error: Told,
}

impl Acceptor {
    pub(in crate::admin) fn new(listener: TcpListener, limits: Limits) -> Self {
        let seats = Arc::new(Semaphore::new(limits.connections));
        Self { listener, limits, seats, guests: Vec::new(), told_full: Told::default(), told_error: Told::default() }
    }

    fn forget_the_gone(&mut self) {
        self.guests.retain(|guest| guest.strong_count() > 0);
    }

    /// A place for one more connection. When all are taken, whoever has been silent for the longest time leaves.
    async fn seat(&mut self) -> OwnedSemaphorePermit {
        if let Ok(seat) = self.seats.clone().try_acquire_owned() {
            return seat;
        }
        if self.told_full.is_due(Instant::now()) {
            let connections = self.limits.connections;
            tracing::warn!(connections, "every connection over TCP is taken: silent ones end, and further ones wait");
        }
        loop {
            self.forget_the_gone();
            let guests = self.guests.iter().filter_map(Weak::upgrade);
            let silent = guests.filter_map(|guest| Some((guest.silent_since()?, guest)));
            if let Some((_, guest)) = silent.min_by_key(|(since, _)| *since) {
                guest.dismiss(Instant::now());
            }
            // Where nobody is silent, somebody may be soon.
            let seat = timeout(self.limits.pause, self.seats.clone().acquire_owned());
            if let Ok(seat) = seat.await {
                return seat.expect("nobody closes it");
            }
        }
    }
}

impl Listener for Acceptor {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        let Self { listener, limits, told_error, .. } = self;
        let (stream, address) = next(|context| listener.poll_accept(context), limits.pause, told_error).await;
        let seat = self.seat().await;
        let watch = Arc::new(Watch::new(self.limits, Instant::now()));
        if self.guests.len() >= 2 * self.limits.connections {
            self.forget_the_gone();
        }
        self.guests.push(Arc::downgrade(&watch));
        (Connection::new(stream, watch.clone(), seat), Peer { address, watch })
    }

    fn local_addr(&self) -> io::Result<Peer> {
        let watch = Arc::new(Watch::new(self.limits, Instant::now()));
        self.listener.local_addr().map(|address| Peer { address, watch })
    }
}

/// Takes connections over the unix socket. Whoever may open that file is trusted with as many as they like.
#[derive(Debug)]
pub(in crate::admin) struct SocketAcceptor {
    listener: UnixListener,
    pause: Duration,
    told: Told,
}

impl SocketAcceptor {
    pub(in crate::admin) fn new(listener: UnixListener, limits: Limits) -> Self {
        Self { listener, pause: limits.pause, told: Told::default() }
    }
}

impl Listener for SocketAcceptor {
    type Io = UnixStream;
    type Addr = unix::SocketAddr;

    async fn accept(&mut self) -> (UnixStream, unix::SocketAddr) {
        let Self { listener, pause, told } = self;
        next(|context| listener.poll_accept(context), *pause, told).await
    }

    fn local_addr(&self) -> io::Result<unix::SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_waited_out_without_spinning() {
        const EMFILE: i32 = 24;
        let pause = Duration::from_millis(20);
        let mut left = vec![Ok(7), Err(EMFILE), Err(EMFILE), Err(EMFILE)];
        let mut asked = 0;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let begun = Instant::now();
        let taken = runtime.block_on(next(
            |_| {
                asked += 1;
                Poll::Ready(left.pop().unwrap().map_err(io::Error::from_raw_os_error))
            },
            pause,
            &mut Told::default(),
        ));
        assert_eq!((taken, asked), (7, 4));
        assert!(begun.elapsed() >= 3 * pause);
    }

    #[test]
    fn the_same_is_not_told_again_and_again() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert!(told.is_due(now));
        assert!(!told.is_due(now + SILENCE / 2));
        assert!(told.is_due(now + SILENCE));
    }
}
