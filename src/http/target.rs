//! One URL and the connections to it: a POST goes out, evidence comes back. Endpoints and token sources are built on it.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use ureq::http::{HeaderName, HeaderValue, Uri};
use url::{Host, Url};

use super::classify::of_ureq;
use super::dial::{Dialer, Security};
use super::exchange;
use super::network::Network;
use super::policy::Origin;
use super::pool::{Pool, bare_agent};
use super::{Evidence, Failure, Response};

/// Read of a response body: the rest is left unread and the connection closed.
const MAX_BODY: u64 = 16 * 1024;
const MAX_BODY_TIME: Duration = Duration::from_secs(2);

/// Names of headers that belong to the connection and its framing; nobody above HTTP sets them.
const CONNECTION_HEADERS: [&str; 8] =
    ["host", "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "upgrade", "te"];

/// Whether HTTP itself sets the header.
pub(super) fn is_connection_header(name: &str) -> bool {
    CONNECTION_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a header can be sent as it is.
pub(super) fn is_valid_header(name: &str, value: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_bytes(value.as_bytes()).is_ok()
}

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
    uri: Uri,
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
            (true, Some(name)) => Some(Security { config: Arc::clone(identity), name }),
            (true, None) => return Err(UrlError::Unreadable),
        };
        let host_text = url.host_str().ok_or(UrlError::Unreadable)?;
        let authority = url.port().map_or_else(|| host_text.to_owned(), |port| format!("{host_text}:{port}"));
        let uri = url.as_str().parse().map_err(|_| UrlError::Unreadable)?;
        let dialer = Dialer { network: Arc::clone(network), origin, host, port, security };
        let pool = Arc::new(Pool::new(move || bare_agent(dialer.clone())));
        network.register(&pool);
        Ok(Self { network: Arc::clone(network), pool, uri, authority })
    }

    /// `host` or `host:port`, without path and query.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends `headers` as spelled and in their order, between `Host` and `Content-Length`. Connection headers among them
    /// are left out.
    pub(super) fn post<'a>(
        &self,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &[u8],
        timeout: Duration,
    ) -> Evidence {
        self.network.close_idle();
        exchange::begin(&self.network.clock, timeout);
        let mut lease = self.pool.lease();
        let mut builder = lease.agent.post(&self.uri).header_raw("Host", self.authority.as_bytes());
        for (name, value) in headers.filter(|(name, _)| !is_connection_header(name)) {
            builder = builder.header_raw(name, value.as_bytes());
        }
        let length = body.len().to_string();
        let result = match builder.header_raw("Content-Length", length.as_bytes()).send(body) {
            Ok(response) => Ok(read(response)),
            Err(error) => Err(of_ureq(error)),
        };
        lease.ended = self.network.clock.monotonic();
        drop(lease);
        evidence(result)
    }
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

fn evidence(result: Result<Response, Failure>) -> Evidence {
    let (exchange, elapsed) = exchange::finish().expect("`post` began the exchange on this thread");
    Evidence { result, request_bytes: exchange.request_bytes, remote: exchange.remote, elapsed }
}
