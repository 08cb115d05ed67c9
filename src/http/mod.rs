//! A request goes out and evidence comes back. The only room that knows ureq, TLS, addresses and proxies.
//!
//! One request is one transmission: nothing here retries, follows a redirect or sends twice.

mod classify;
mod client;
mod dial;
mod exchange;
mod link;
mod message;
mod network;
mod oauth;
mod policy;
mod pool;
mod proxy;
mod ranges;
mod remote;
mod resolver;
mod socket;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod unix;
mod waiting;

use std::net::SocketAddr;
use std::time::Duration;

pub use client::{Endpoint, EndpointError, NetworkSettings, UreqTransport};
pub use network::NetworkError;
pub use policy::{AddressPolicy, Origin, PolicyError, PolicyMode};
pub use proxy::ProxyError;
pub use remote::RemoteClient;
pub use target::UrlError;
pub use tls::TlsError;
pub use unix::UnixClient;

use crate::model::Outcome;
use crate::wire::Request;

/// The response as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// At most 16 KiB; what follows is not read.
    pub body: Vec<u8>,
}

/// Why there is no complete response head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Never `Success`, never an `Http…` class.
    pub outcome: Outcome,
    /// One sentence for a person; holds no secret.
    pub message: String,
}

/// What one transmission left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    pub result: Result<Response, Failure>,
    /// Bytes of the request handed to the connection. Zero proves that the receiver saw nothing.
    pub request_bytes: u64,
    pub remote: Option<SocketAddr>,
    pub elapsed: Duration,
}

/// Sends one request once, several at a time if need be.
pub trait Transport: Send + Sync {
    /// What a connection needs to know of an endpoint: address, TLS identity, token source.
    type Endpoint: Send + Sync;
    /// A request on its way.
    type Pending;

    /// Whether a request can leave at once: over an idle connection, or over a new one that takes no time to speak of.
    fn is_ready(&self, endpoint: &Self::Endpoint) -> bool;

    /// Connects if need be, and sends. `timeout` bounds the whole exchange, name look-up included. What fails before there
    /// is anything to wait for is the error.
    fn begin(&self, endpoint: &Self::Endpoint, request: &Request, timeout: Duration)
    -> Result<Self::Pending, Evidence>;

    /// Waits, `at_most` so long if that is given, until an answer begins, or waiting is over, for at least one of them.
    /// `found` gets the indices of those, rising.
    fn await_any(&self, pending: &mut [Self::Pending], at_most: Option<Duration>, found: &mut Vec<usize>);

    /// Waits for the answer if it is not there yet, and reads it.
    fn end(&self, endpoint: &Self::Endpoint, pending: Self::Pending) -> Evidence;

    /// The whole exchange at once.
    fn send(&self, endpoint: &Self::Endpoint, request: &Request, timeout: Duration) -> Evidence {
        match self.begin(endpoint, request, timeout) {
            Ok(pending) => self.end(endpoint, pending),
            Err(evidence) => evidence,
        }
    }
}
