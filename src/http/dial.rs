//! A new connection to one endpoint: name, judged addresses, TCP, proxy tunnel, TLS. What fails here fails before the
//! first request byte.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::never;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::Failure;
use super::classify::{connect_failure, failure, stream_failure, tls_failure};
use super::exchange::{self, Phase};
use super::link::{Link, Stream};
use super::network::Network;
use super::policy::Origin;
use super::proxy::Proxy;
use super::resolver::LookupError;
use super::socket::Socket;
use super::tls::valid_until;
use crate::model::{Outcome, Timestamp};

/// TLS towards one host.
pub(super) struct Security {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
    /// Until when the certificate is valid that was accepted last. A resumed session shows none of its own.
    pub(super) valid_until: Mutex<Option<Timestamp>>,
}

pub(super) struct Dialer {
    pub(super) network: Arc<Network>,
    pub(super) origin: Origin,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Option<Security>,
}

impl Security {
    fn wrap(&self, mut socket: Socket) -> Result<Stream, Failure> {
        exchange::enter(Phase::Securing);
        let mut session =
            ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(|error| tls_failure(&error))?;
        session.complete_io(&mut socket).map_err(|error| stream_failure(&error))?;
        if let Some(until) = session.peer_certificates().and_then(|chain| valid_until(chain.first()?)) {
            *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
    }
}

impl Dialer {
    /// Connects. `register` is told of the socket before anything is sent over it, and may refuse.
    pub(super) fn connect(&self, register: impl Fn(&Arc<TcpStream>) -> Result<(), Failure>) -> Result<Link, Failure> {
        let (mut socket, remote, proxy) = self.dial()?;
        register(socket.stream())?;
        if let Some(proxy) = proxy {
            exchange::enter(Phase::Tunnelling);
            proxy.open_tunnel(&mut socket, &self.authority())?;
        }
        let stream = match &self.security {
            None => Stream::Plain(socket),
            Some(security) => security.wrap(socket)?,
        };
        Ok(Link::new(stream, remote))
    }

    /// See [`Security::valid_until`].
    pub(super) fn certificate_until(&self) -> Option<Timestamp> {
        *self.security.as_ref()?.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `host:port` with brackets around an IPv6 address.
    fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    fn dial(&self) -> Result<(Socket, SocketAddr, Option<&Proxy>), Failure> {
        exchange::enter(Phase::Resolving);
        let proxy = self.network.proxies.route(self.security.is_some(), &self.host, self.port);
        let addresses = match proxy {
            None => self.permitted_addresses()?,
            Some(proxy) => self.proxy_addresses(proxy)?,
        };
        exchange::enter(Phase::Connecting);
        let (stream, remote) = connect_any(&addresses).map_err(|cause| match proxy {
            None => cause,
            Some(_) => failure(Outcome::Proxy, format!("the proxy cannot be reached: {}", cause.message)),
        })?;
        exchange::reach(remote);
        let is_own = stream.local_addr().is_ok_and(|local| self.network.policy.is_own_listener(local, remote));
        if is_own {
            return Err(failure(Outcome::BlockedAddress, format!("{remote} is our own listener")));
        }
        Ok((Socket::new(stream), remote, proxy))
    }

    /// The endpoint's addresses that the policy lets through, at least one.
    fn permitted_addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found = self.network.resolver.addresses(&self.host, exchange::remaining()).map_err(lookup_failure)?;
        let mut permitted = Vec::with_capacity(found.len());
        let mut blocked = None;
        for &ip in &*found {
            let address = SocketAddr::new(ip, self.port);
            match self.network.policy.judge(&self.host, address, self.origin) {
                Ok(()) => permitted.push(address),
                Err(why) => blocked = Some((address, why)),
            }
        }
        match blocked {
            Some((address, why)) if permitted.is_empty() => Err(blocked_failure(address, why)),
            Some((address, why)) => {
                tracing::warn!(host = %self.host, %address, why, "skipped a forbidden address among permitted ones");
                Ok(permitted)
            }
            None => Ok(permitted),
        }
    }

    /// The proxy is the operator's choice and not judged; it resolves names itself, so of the endpoint only a literal
    /// address can be judged here.
    fn proxy_addresses(&self, proxy: &Proxy) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            let address = SocketAddr::new(ip, self.port);
            self.network.policy.judge(&self.host, address, self.origin).map_err(|why| blocked_failure(address, why))?;
        }
        let found = self
            .network
            .resolver
            .addresses(&proxy.host, exchange::remaining())
            .map_err(|error| failure(Outcome::Proxy, format!("the proxy cannot be reached: {error}")))?;
        Ok(found.iter().map(|&ip| SocketAddr::new(ip, proxy.port)).collect())
    }
}

fn blocked_failure(address: SocketAddr, why: &str) -> Failure {
    failure(Outcome::BlockedAddress, format!("{address} {why}"))
}

fn lookup_failure(error: LookupError) -> Failure {
    failure(Outcome::Dns, error.to_string())
}

/// Tries the addresses in order. Each but the last may use half of the time that is left, so that one black hole does
/// not hide a working address.
fn connect_any(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut last = failure(Outcome::Dns, "the name has no address");
    for (at, &address) in addresses.iter().enumerate() {
        let left = exchange::remaining();
        let share = if at + 1 == addresses.len() { left } else { left / 2 };
        if share < Duration::from_millis(1) {
            return Err(failure(Outcome::TimeoutConnect, format!("{address} did not answer in time")));
        }
        match connect_one(address, share) {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = connect_failure(&error, address),
        }
    }
    Err(last)
}

/// Between two tries to get a file descriptor.
const NEXT_TRY: Duration = Duration::from_millis(50);

/// Connects. While no file descriptor is left, which says nothing about the endpoint, it waits for one.
fn connect_one(address: SocketAddr, at_most: Duration) -> io::Result<TcpStream> {
    let mut rest = exchange::remaining().saturating_sub(at_most);
    loop {
        let left = exchange::remaining().saturating_sub(rest).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Err(error) if is_out_of_descriptors(&error) && left > NEXT_TRY => {
                let _ = never::<()>().recv_timeout(NEXT_TRY);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut && exchange::resume() => rest = Duration::ZERO,
            connected => return connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)),
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
