//! The transport of the engine: endpoints of subscriptions, and the requests on their way to them.

use std::sync::Arc;
use std::time::Duration;

use super::message::{is_connection_header, is_valid_header};
use super::network::{Network, NetworkError};
use super::oauth::{Token, TokenSource};
use super::policy::{AddressPolicy, Origin, PolicyMode};
use super::proxy::ProxyRules;
use super::resolver::Resolver;
use super::target::{Posted, Target, UrlError};
use super::tls::TlsError;
use super::waiting::await_any;
use super::{Evidence, Transport};
use crate::env::Clock;
use crate::model::{Secret, Subscription, Timestamp};
use crate::wire::Request;

/// The `[network]` table, and the ports of our own listeners.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    pub mode: PolicyMode,
    pub allow: Vec<String>,
    pub deny: Vec<String>,
    /// `none`, `env` or a URL.
    pub proxy: Secret,
    /// TCP ports we listen on: never a destination on this machine.
    pub own_ports: Vec<u16>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            mode: PolicyMode::Lan,
            allow: Vec::new(),
            deny: Vec::new(),
            proxy: Secret::new("env"),
            own_ports: Vec::new(),
        }
    }
}

/// A subscription that cannot be connected to as it is written.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("url: {0}")]
    Url(UrlError),
    #[error("oauth2.token_url: {0}")]
    TokenUrl(UrlError),
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    #[error("headers: {0} is set by HTTP itself")]
    ConnectionHeader(String),
    #[error("headers: {0:?} is not a header name, or its value has control characters")]
    InvalidHeader(String),
}

/// What a connection needs to know of an endpoint: address, TLS identity, own headers, token source. Made once per
/// subscription and configuration; keeps its idle connections.
pub struct Endpoint {
    target: Target,
    headers: Vec<(String, Secret)>,
    tokens: Option<TokenSource>,
}

/// The HTTP client. One per configuration: a changed `[network]` table means a new transport and new endpoints, so that
/// no pooled connection outlives the policy that let it through.
pub struct UreqTransport {
    network: Arc<Network>,
}

impl UreqTransport {
    /// Reads the proxy variables of the environment when `settings.proxy` is `env`.
    pub fn new(settings: &NetworkSettings, clock: Arc<dyn Clock>) -> Result<Self, NetworkError> {
        Self::with_resolver(settings, Resolver::new(Arc::clone(&clock)), clock)
    }

    pub(super) fn with_resolver(
        settings: &NetworkSettings,
        resolver: Resolver,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NetworkError> {
        let own_ports = settings.own_ports.clone();
        let policy = AddressPolicy::new(settings.mode, &settings.allow, &settings.deny, own_ports)?;
        let proxies = ProxyRules::new(settings.proxy.expose(), |name| std::env::var(name).ok())?;
        Ok(Self { network: Arc::new(Network::new(policy, proxies, resolver, clock)) })
    }

    /// Reads the TLS files and checks URL and headers; connects to nothing.
    pub fn endpoint(&self, subscription: &Subscription, origin: Origin) -> Result<Endpoint, EndpointError> {
        let identity = self.network.identities.load(&subscription.tls)?;
        let target = Target::new(&subscription.url, &identity, &self.network, origin).map_err(EndpointError::Url)?;
        check_headers(&subscription.headers)?;
        let tokens = match &subscription.oauth2 {
            None => None,
            Some(oauth2) => {
                check_headers(&oauth2.headers)?;
                let target = Target::new(&oauth2.token_url, &identity, &self.network, origin)
                    .map_err(EndpointError::TokenUrl)?;
                Some(TokenSource::new(oauth2.clone(), target, Arc::clone(&self.network.clock)))
            }
        };
        Ok(Endpoint { target, headers: subscription.headers.clone(), tokens })
    }

    /// Why nothing could be sent to `url` as it stands, as far as it names its address itself.
    pub fn forbids(&self, url: &str, origin: Origin) -> Option<String> {
        self.network.policy.forbids(url, origin)
    }

    fn since(&self, began: Duration) -> Duration {
        self.network.clock.monotonic().saturating_sub(began)
    }

    /// Closes connections that nobody used for some seconds; to be called about once a second.
    pub fn close_idle(&self) {
        self.network.close_idle();
    }

    /// Interrupts every exchange under way (they fail with the evidence they have) and refuses new ones. For the end of
    /// the drain time. Look-ups and TCP connects under way run into their own deadlines.
    pub fn shut_down(&self) {
        self.network.shut_down();
    }
}

fn check_headers(headers: &[(String, Secret)]) -> Result<(), EndpointError> {
    for (name, value) in headers {
        if is_connection_header(name) {
            return Err(EndpointError::ConnectionHeader(name.clone()));
        }
        if !is_valid_header(name, value.expose()) {
            return Err(EndpointError::InvalidHeader(name.clone()));
        }
    }
    Ok(())
}

/// A request on its way to an endpoint.
pub struct Pending {
    began: Duration,
    pub(super) posted: Posted,
    token: Option<Arc<Token>>,
}

impl Transport for UreqTransport {
    type Endpoint = Endpoint;
    type Pending = Pending;

    /// The subscription's own headers follow the request's and replace those of the same name; the access token replaces
    /// any `Authorization`.
    fn begin(&self, endpoint: &Endpoint, request: &Request, timeout: Duration) -> Result<Pending, Evidence> {
        let began = self.network.clock.monotonic();
        let Some(tokens) = &endpoint.tokens else {
            return Ok(Pending { began, posted: endpoint.begin(request, None, timeout)?, token: None });
        };
        let token = tokens.token(timeout).map_err(|failure| Evidence {
            result: Err(failure),
            request_bytes: 0,
            remote: None,
            elapsed: self.since(began),
        })?;
        let left = timeout.saturating_sub(self.since(began));
        match endpoint.begin(request, Some(&token.header), left) {
            Ok(posted) => Ok(Pending { began, posted, token: Some(token) }),
            Err(evidence) => Err(Evidence { elapsed: self.since(began), ..evidence }),
        }
    }

    fn is_ready(&self, endpoint: &Endpoint) -> bool {
        endpoint.tokens.as_ref().is_none_or(TokenSource::is_ready) && endpoint.target.is_ready()
    }

    fn await_any(&self, pending: &mut [Pending], at_most: Option<Duration>, found: &mut Vec<usize>) {
        await_any(pending, at_most, &*self.network.clock, found);
    }

    fn end(&self, endpoint: &Endpoint, pending: Pending) -> Evidence {
        let mut evidence = pending.posted.end();
        if let (Some(tokens), Some(token)) = (&endpoint.tokens, pending.token) {
            evidence.elapsed = self.since(pending.began);
            if evidence.result.as_ref().is_ok_and(|response| response.status == 401) {
                tokens.reject(&token);
            }
        }
        evidence
    }
}

impl Endpoint {
    /// `host` or `host:port`: the part of the URL that is no secret.
    pub fn authority(&self) -> &str {
        self.target.authority()
    }

    /// Until when the endpoint's certificate is valid, as accepted last; `None` before, and without TLS.
    pub fn certificate_until(&self) -> Option<Timestamp> {
        self.target.certificate_until()
    }

    fn begin(&self, request: &Request, authorization: Option<&Secret>, timeout: Duration) -> Result<Posted, Evidence> {
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let is_replaced = |name: &str| {
            (authorization.is_some() && name.eq_ignore_ascii_case("authorization"))
                || self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        let rendered = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = rendered
            .filter(|(name, _)| !is_replaced(name))
            .chain(own.filter(|(name, _)| authorization.is_none() || !name.eq_ignore_ascii_case("authorization")))
            .chain(authorization.map(|token| ("Authorization", token.expose())));
        self.target.begin(headers, &request.body, timeout)
    }
}
