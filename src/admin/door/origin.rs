//! Two questions about a request that may come from a browser: was it sent to a name that is ours, and by a page of ours?
//!
//! The first is against DNS rebinding: a page's own name, made to point at this machine, is still that page's name. The
//! second is against writes that a page of somebody else has a browser send. Pure.

use std::net::{IpAddr, SocketAddr};

/// The name in a `Host` or an origin's authority: without port and brackets, in small letters.
fn name_of(authority: &str) -> String {
    let authority = authority.trim();
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether a request to `host` was meant for us. On a loopback address: `localhost`, an address of the loopback, and the
/// names of the configuration. On any other: every address too, since rebinding needs a name.
pub(super) fn is_our_host(host: &str, listen: SocketAddr, names: &[String]) -> bool {
    let name = name_of(host);
    if name == "localhost" || names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
        return true;
    }
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == listen.ip() || !listen.ip().is_loopback(),
        Err(_) => false,
    }
}

/// What browsers say about who made them send a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sender<'a> {
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
    pub fetch_site: Option<&'a str>,
}

impl Sender<'_> {
    /// Whether no page of somebody else sent this. Programs say nothing about a page.
    pub fn is_ours(&self, names: &[String]) -> bool {
        if self.fetch_site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            return false;
        }
        let Some(origin) = self.origin else { return true };
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let is_same = self.host.is_some_and(|host| host.eq_ignore_ascii_case(authority));
        // A proxy that speaks TLS for us may have put its own name for us into `Host`.
        is_same || names.iter().any(|known| known.eq_ignore_ascii_case(&name_of(authority)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str, listen: &str) -> bool {
        is_our_host(host, listen.parse().unwrap(), &["hooks.plant.lan".to_owned()])
    }

    #[test]
    fn a_loopback_is_asked_for_by_its_own_names() {
        for host in ["localhost", "LOCALHOST:7380", "127.0.0.1:7380", "[::1]:7380", "hooks.plant.lan", "localhost."] {
            assert!(ours(host, "127.0.0.1:7380"), "{host}");
        }
        for host in ["evil.example", "evil.example:7380", "10.0.0.7", "127.0.0.1.evil.example", "", "localhost.evil"] {
            assert!(!ours(host, "127.0.0.1:7380"), "{host}");
        }
    }

    #[test]
    fn other_addresses_are_asked_for_by_address_or_known_name() {
        for host in ["10.0.0.7:7380", "[fd00::7]:7380", "hooks.plant.lan:7380", "localhost"] {
            assert!(ours(host, "0.0.0.0:7380"), "{host}");
        }
        assert!(!ours("evil.example", "0.0.0.0:7380"));
    }

    #[test]
    fn pages_of_others_do_not_write() {
        let names = ["hooks.plant.lan".to_owned()];
        let sent = |origin, fetch_site| Sender { host: Some("localhost:7380"), origin, fetch_site }.is_ours(&names);
        assert!(sent(None, None), "a program");
        assert!(sent(Some("http://localhost:7380"), Some("same-origin")));
        assert!(sent(Some("https://hooks.plant.lan"), None), "behind a proxy");
        assert!(sent(None, Some("none")), "typed by a person");
        for (origin, site) in [
            (Some("http://evil.example"), None),
            (Some("null"), None),
            (Some("http://localhost:9999"), None),
            (None, Some("cross-site")),
            (None, Some("same-site")),
            (Some("http://localhost:7380"), Some("cross-site")),
        ] {
            assert!(!sent(origin, site), "{origin:?} {site:?}");
        }
    }
}
