//! One URL and the connections to it: a POST goes out, evidence comes back. Endpoints and token sources are built on it.

use std::io::Read;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use ureq::http::{HeaderValue, Uri};
use url::{Host, Url};

use super::classify::{failure, of_ureq};
use super::dial::{Dialer, Security};
use super::exchange::{self, Exchange};
use super::message::{self, Message};
use super::network::Network;
use super::policy::Origin;
use super::pool::{Loan, Pool};
use super::{Evidence, Failure, Response};
use crate::model::{Outcome, Timestamp};

/// Read of a response body: the rest is left unread and the connection closed.
const MAX_BODY: u64 = 16 * 1024;
const MAX_BODY_TIME: Duration = Duration::from_secs(2);

/// Why a URL cannot be an endpoint. The URL itself is not repeated: its path may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("the URL cannot be read (expected https://host/path)")]
    Unreadable,
    #[error("the URL must begin with https:// or http://")]
    Scheme,
    #[error("the URL holds a user name or password (use headers or oauth2)")]
    UserInfo,
    #[error("port 0 cannot be connected to")]
    PortZero,
}

pub(super) struct Target {
    network: Arc<Network>,
    pool: Arc<Pool>,
    /// What each of its messages begins with.
    start: Vec<u8>,
    /// The value of `Host`: with the port unless it is the scheme's own.
    authority: String,
}

impl Target {
    /// `identity` is used for `https` only.
    pub(super) fn new(
        url: &str,
        identity: &Arc<ClientConfig>,
        network: &Arc<Network>,
        origin: Origin,
    ) -> Result<Self, UrlError> {
        let mut url = Url::parse(url).map_err(|_| UrlError::Unreadable)?;
        url.set_fragment(None);
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(UrlError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        let (host, name) = match url.host().ok_or(UrlError::Unreadable)? {
            Host::Domain(domain) => {
                let name = if https { ServerName::try_from(domain.to_owned()).ok() } else { None };
                (domain.to_owned(), name)
            }
            Host::Ipv4(ip) => (ip.to_string(), Some(ServerName::from(std::net::IpAddr::V4(ip)))),
            Host::Ipv6(ip) => (ip.to_string(), Some(ServerName::from(std::net::IpAddr::V6(ip)))),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(UrlError::PortZero)?;
        let security = match (https, name) {
            (false, _) => None,
            (true, Some(name)) => Some(Security { config: Arc::clone(identity), name, valid_until: Mutex::default() }),
            (true, None) => return Err(UrlError::Unreadable),
        };
        let host_text = url.host_str().ok_or(UrlError::Unreadable)?;
        let authority = url.port().map_or_else(|| host_text.to_owned(), |port| format!("{host_text}:{port}"));
        let uri: Uri = url.as_str().parse().map_err(|_| UrlError::Unreadable)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let start = message::start(path, &authority);
        let dialer = Dialer { network: Arc::clone(network), origin, host, port, security };
        let pool = Arc::new(Pool::new(dialer));
        network.register(&pool);
        Ok(Self { network: Arc::clone(network), pool, start, authority })
    }

    /// `host` or `host:port`, without path and query.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Until when the certificate is valid that was accepted last.
    pub(super) fn certificate_until(&self) -> Option<Timestamp> {
        self.pool.certificate_until()
    }

    /// Sends `headers` as spelled and in their order, between `Host` and `Content-Length`. Connection headers among them
    /// are left out. `timeout` bounds the whole exchange.
    pub(super) fn begin<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Posted, Evidence> {
        exchange::begin(&self.network.clock, timeout);
        let sent = match Message::new(&self.start, headers, body) {
            Ok(message) => self.pool.lend().and_then(|mut loan| loan.link().send(&message).map(|()| loan)),
            Err(message::InvalidHeader) => {
                Err(failure(Outcome::InvalidResponse, "the request has a header that cannot be sent"))
            }
        };
        match sent {
            Ok(loan) => Ok(Posted { exchange: exchange::lay_aside().expect("begun on this thread"), loan }),
            Err(failure) => Err(evidence(Err(failure))),
        }
    }

    /// Whether there is an idle connection, or a new one takes no time to speak of.
    pub(super) fn is_ready(&self) -> bool {
        self.pool.is_ready()
    }

    /// The whole exchange at once.
    pub(super) fn post<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &[u8],
        timeout: Duration,
    ) -> Evidence {
        self.begin(headers, body, timeout).map_or_else(|evidence| evidence, Posted::end)
    }
}

/// A request that was sent.
pub(super) struct Posted {
    exchange: Exchange,
    loan: Loan,
}

impl Posted {
    /// Where its answer will come, and how long that may take. `None`: its time is over.
    pub(super) fn awaited(&self, now: Duration) -> Option<(&TcpStream, Duration)> {
        let left = self.exchange.time_left(now);
        (!left.is_zero()).then(|| (self.loan.socket(), left))
    }

    /// Whether an answer has begun, or the connection ended, as far as can be told without waiting.
    pub(super) fn is_answering(&mut self) -> bool {
        self.loan.link().is_answering()
    }

    /// Waits for the answer and reads it.
    pub(super) fn end(self) -> Evidence {
        exchange::take_up(self.exchange);
        evidence(self.loan.answer().map(read).map_err(of_ureq))
    }
}

/// Closes the exchange in hand.
fn evidence(result: Result<Response, Failure>) -> Evidence {
    let (exchange, elapsed) = exchange::finish().expect("an exchange is in hand on this thread");
    Evidence { result, request_bytes: exchange.request_bytes, remote: exchange.remote, elapsed }
}

fn read(response: ureq::http::Response<ureq::Body>) -> Response {
    exchange::enter_reading(MAX_BODY_TIME);
    let (parts, body) = response.into_parts();
    let mut kept = Vec::new();
    // The status line has decided the outcome; a body that breaks off is kept as far as it came.
    let _ = body.into_reader().take(MAX_BODY).read_to_end(&mut kept);
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Response { status: parts.status.as_u16(), headers, body: kept }
}
