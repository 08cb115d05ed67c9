//! Which endpoints are reached through a proxy, and how one is asked for a tunnel.
//!
//! `network.proxy` is `none`, `env` or the URL of an HTTP proxy. With `env`, `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`
//! (or lower case) decide by the endpoint's scheme. `NO_PROXY` holds in either case: `*`, host names (which cover their
//! subdomains), addresses and CIDRs, each with an optional port. Loopback is never proxied.

use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ipnet::IpNet;
use url::Url;
use zeroize::Zeroizing;

use super::Failure;
use super::classify::failure;
use super::socket::Socket;
use crate::model::{Outcome, Secret};

/// A proxy setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("{0} is not a URL (expected \"none\", \"env\" or http://host:port)")]
    NotAUrl(String),
    #[error("{0}: only http:// proxies are supported, not {1}:// (network.proxy = \"none\" ignores the environment)")]
    Scheme(String, String),
}

/// An HTTP proxy that is asked to `CONNECT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Secret>,
}

impl Proxy {
    /// `place` names the setting in errors; the URL itself may hold a password and is not shown.
    fn parse(place: &str, text: &str) -> Result<Self, ProxyError> {
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&with_scheme).map_err(|_| ProxyError::NotAUrl(place.to_owned()))?;
        if url.scheme() != "http" {
            return Err(ProxyError::Scheme(place.to_owned(), url.scheme().to_owned()));
        }
        let host = url.host_str().ok_or_else(|| ProxyError::NotAUrl(place.to_owned()))?;
        let decode = |text: &str| percent_decode(text);
        let authorization = (!url.username().is_empty()).then(|| {
            let login =
                Zeroizing::new(format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default())));
            Secret::new(format!("Basic {}", BASE64_STANDARD.encode(login.as_bytes())))
        });
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), authorization })
    }

    /// Turns a connection to the proxy into one to `authority` (`host:port`).
    ///
    /// ```text
    /// CONNECT oms.example:443 HTTP/1.1    ->    HTTP/1.1 200 Connection established
    /// ```
    pub(super) fn open_tunnel(&self, socket: &mut Socket, authority: &str) -> Result<(), Failure> {
        let mut request = Zeroizing::new(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"));
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization.expose());
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let broke = |error: std::io::Error| match error.kind() {
            ErrorKind::TimedOut => failure(Outcome::Proxy, "the proxy did not open a tunnel in time"),
            _ => failure(Outcome::Proxy, format!("the proxy closed the connection: {error}")),
        };
        socket.write_all(request.as_bytes()).map_err(broke)?;
        let status = read_status(socket).map_err(broke)?;
        match status {
            Some(200..=299) => Ok(()),
            Some(407) => Err(failure(Outcome::Proxy, "the proxy wants other credentials (407)")),
            Some(code) => Err(failure(Outcome::Proxy, format!("the proxy refused the tunnel with status {code}"))),
            None => Err(failure(Outcome::Proxy, "the proxy's answer is not HTTP")),
        }
    }
}

fn percent_decode(text: &str) -> String {
    let pair = format!("={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// Reads one response head and not a byte more: what follows belongs to the tunnel.
fn read_status(socket: &mut Socket) -> std::io::Result<Option<u16>> {
    const LIMIT: usize = 8 * 1024;
    let mut head = Vec::with_capacity(128);
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if head.len() == LIMIT {
            return Ok(None);
        }
        if socket.read(&mut byte)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.push(byte[0]);
    }
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    Ok(words.next().and_then(|code| code.parse().ok()).filter(|_| is_http))
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    place: Place,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    Net(IpNet),
    Domain(String),
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let net = |text: &str| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_owned();
        if let Some(net) = net(&bare(text)) {
            return Some(Self { place: Place::Net(net), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (bare(host), Some(port.parse().ok()?)),
            None => (text.to_owned(), None),
        };
        let place = match host.trim_start_matches("*.").trim_start_matches('.') {
            "" => return None,
            "*" => Place::Anywhere,
            domain => net(domain).map_or_else(|| Place::Domain(domain.to_ascii_lowercase()), Place::Net),
        };
        Some(Self { place, port })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let right_port = self.port.is_none_or(|own| own == port);
        right_port
            && match &self.place {
                Place::Anywhere => true,
                Place::Net(net) => host.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip)),
                Place::Domain(domain) => {
                    let host = host.to_ascii_lowercase();
                    host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                }
            }
    }
}

/// The route for every destination.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxyRules {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

impl ProxyRules {
    /// `environment` reads a variable; it is asked only for the names above.
    pub(super) fn new(setting: &str, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let variable = |name: &str| {
            let found = environment(&name.to_ascii_lowercase()).or_else(|| environment(name));
            found.filter(|text| !text.trim().is_empty())
        };
        let from_environment = |name: &str| match variable(name) {
            Some(text) => Proxy::parse(name, &text).map(Some),
            None => variable("ALL_PROXY").map(|text| Proxy::parse("ALL_PROXY", &text)).transpose(),
        };
        let (http, https) = match setting {
            "none" => return Ok(Self::default()),
            "env" => (from_environment("HTTP_PROXY")?, from_environment("HTTPS_PROXY")?),
            url => {
                let proxy = Proxy::parse("network.proxy", url)?;
                (Some(proxy.clone()), Some(proxy))
            }
        };
        let exceptions = variable("NO_PROXY").unwrap_or_default();
        Ok(Self { http, https, exceptions: exceptions.split(',').filter_map(Exception::parse).collect() })
    }

    /// The proxy for a destination; `host` is a name or an address without brackets.
    pub(super) fn route(&self, https: bool, host: &str, port: u16) -> Option<&Proxy> {
        let loopback =
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loopback || self.exceptions.iter().any(|exception| exception.covers(host, port)) {
            return None;
        }
        if https { self.https.as_ref() } else { self.http.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(setting: &str, variables: &[(&str, &str)]) -> Result<ProxyRules, ProxyError> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        ProxyRules::new(setting, find)
    }

    #[test]
    fn the_environment_decides_by_scheme() {
        let rules =
            rules("env", &[("HTTPS_PROXY", "http://proxy.lan:3128"), ("http_proxy", "proxy2.lan:8080")]).unwrap();
        let host = |https| rules.route(https, "oms.example", 443).map(|proxy| (proxy.host.as_str(), proxy.port));
        assert_eq!(host(true), Some(("proxy.lan", 3128)));
        assert_eq!(host(false), Some(("proxy2.lan", 8080)));
    }

    #[test]
    fn none_ignores_the_environment() {
        let rules = rules("none", &[("ALL_PROXY", "http://proxy.lan:3128")]).unwrap();
        assert_eq!(rules.route(true, "oms.example", 443), None);
    }

    #[test]
    fn exceptions_cover_names_networks_and_ports() {
        let list = "corp.lan, 10.0.0.0/8,.dot.example,*.star.example,only.example:8443,[fd00::1]:80";
        let rules = rules("http://proxy.lan:3128", &[("NO_PROXY", list)]).unwrap();
        let direct = |host: &str, port| rules.route(true, host, port).is_none();
        for (host, port, expected) in [
            ("corp.lan", 443, true),
            ("erp.corp.lan", 443, true),
            ("notcorp.lan", 443, false),
            ("10.9.8.7", 443, true),
            ("11.0.0.1", 443, false),
            ("a.dot.example", 443, true),
            ("star.example", 443, true),
            ("only.example", 8443, true),
            ("only.example", 443, false),
            ("fd00::1", 80, true),
            ("fd00::1", 81, false),
            ("localhost", 443, true),
            ("127.0.0.2", 443, true),
        ] {
            assert_eq!(direct(host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn credentials_are_sent_and_never_shown() {
        let proxy = Proxy::parse("network.proxy", "http://us%40er:p+w@proxy.lan").unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap().expose(), "Basic dXNAZXI6cCt3");
        assert!(!format!("{proxy:?}").contains("dXNA"));
        assert_eq!(proxy.port, 80);
    }

    #[test]
    fn other_proxies_are_refused_at_load() {
        let error = rules("env", &[("ALL_PROXY", "socks5://user:secret@proxy.lan")]).unwrap_err();
        assert!(error.to_string().contains("socks5") && !error.to_string().contains("secret"), "{error}");
        assert!(rules("http://", &[]).is_err());
    }
}
