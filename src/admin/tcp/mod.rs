//! What strangers may cost us over TCP: so many connections, each so long silent. Whoever waits for an answer, or listens to
//! one that goes on, is not hurried.

mod acceptor;
mod connection;
mod exchange;
mod watch;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(super) use acceptor::{Acceptor, Peer, SocketAcceptor};
pub(super) use exchange::watched;

/// What a connection over TCP may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. For a further one the longest silent one ends; where all are answered it waits, and those behind
    /// it in the kernel's queue.
    pub connections: usize,
    /// From a request's first byte to the end of its head, and from the connection to the end of its first head.
    pub head: Duration,
    /// From an answer to the next request.
    pub idle: Duration,
    /// Without a byte of a body that was announced.
    pub body: Duration,
    /// Without a byte of an answer being taken.
    pub write: Duration,
    /// Before the next try, when the system has nothing left for a connection.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(60),
            write: Duration::from_secs(60),
            pause: Duration::from_secs(1),
        }
    }
}

impl Limits {
    /// The same, with at most a quarter of `descriptors` for connections: deliveries need the others.
    pub(super) fn within(self, descriptors: Option<u64>) -> Self {
        let share = descriptors.and_then(|all| usize::try_from(all / 4).ok()).unwrap_or(self.connections);
        Self { connections: self.connections.min(share).max(1), ..self }
    }
}
