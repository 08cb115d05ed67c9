//! A request goes out and evidence comes back. The only room that knows ureq, TLS, addresses and proxies.
//!
//! One call is one transmission: nothing here retries, follows a redirect or sends twice.

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
mod resolver;
mod socket;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod unix;

use std::net::SocketAddr;
use std::time::Duration;

pub use client::{Endpoint, EndpointError, NetworkSettings, UreqTransport};
pub use network::NetworkError;
pub use policy::{AddressPolicy, Origin, PolicyError, PolicyMode};
pub use proxy::ProxyError;
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

/// Sends one request once. `timeout` bounds the whole exchange, name look-up included.
pub trait Transport: Send + Sync {
    /// What a connection needs to know of an endpoint: address, TLS identity, token source.
    type Endpoint: Send + Sync;

    fn send(&self, endpoint: &Self::Endpoint, request: &Request, timeout: Duration) -> Evidence;
}
