//! Which addresses may be connected to. Pure: it judges, the dialer obeys.
//!
//! | | `lan` (default) | `public` | `allowlist` |
//! |---|---|---|---|
//! | link-local, metadata, multicast, reserved | never | never | never |
//! | loopback | subscriptions of the file only | no | no |
//! | private | yes | no | no |
//! | public | yes | yes | no |
//!
//! `allow` and `deny` change that: the longer prefix wins, `allow` wins a tie, and an entry with a port is more specific
//! than any without. The first row opens only to an `allow` of that very address. Ports below 1024 other than 80 and 443
//! need an `allow`. Names are no help to an attacker: every resolved address is judged, and only judged ones are dialled.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;

use super::ranges::{Ranges, Tier, unwrap_embedded};

/// The stance where no list says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyMode {
    #[default]
    Lan,
    Public,
    Allowlist,
}

/// Who wrote the subscription: the configuration file may name loopback addresses, the API may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    File,
    Api,
}

/// An entry of `allow` or `deny` that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address, a CIDR (10.0.0.0/8) nor host:port")]
pub struct PolicyError(String);

/// `10.0.0.0/8`, `10.1.2.3`, `10.1.2.3:8080`, `[fd00::1]:8080` or `oms.lan:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Net { net: IpNet, port: Option<u16> },
    Name { name: String, port: u16 },
}

/// How closely a rule describes a destination; larger is closer: has a port, then prefix length from the right end, so
/// that IPv4 and IPv6 compare.
type Closeness = (bool, i16);
const NAME_CLOSENESS: Closeness = (true, -1000);
const EXACT: i16 = 0;

impl Rule {
    fn parse(text: &str) -> Result<Self, PolicyError> {
        let text = text.trim();
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net { net: net.trunc(), port: None });
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Net { net: ip.into(), port: None });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Net { net: address.ip().into(), port: Some(address.port()) });
        }
        let bad = || PolicyError(text.to_owned());
        let (name, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(bad());
        }
        Ok(Self::Name { name: name.to_ascii_lowercase(), port })
    }

    fn closeness(&self, host: &str, address: SocketAddr) -> Option<Closeness> {
        match self {
            Self::Net { net, port } => {
                let matches = net.contains(&address.ip()) && port.is_none_or(|port| port == address.port());
                matches.then(|| (port.is_some(), i16::from(net.prefix_len()) - i16::from(net.max_prefix_len())))
            }
            Self::Name { name, port } => {
                (*port == address.port() && host.eq_ignore_ascii_case(name)).then_some(NAME_CLOSENESS)
            }
        }
    }
}

fn closest(rules: &[Rule], host: &str, address: SocketAddr) -> Option<Closeness> {
    rules.iter().filter_map(|rule| rule.closeness(host, address)).max()
}

/// The egress policy of the whole engine; the same for deliveries, token endpoints and test sends.
#[derive(Clone, Debug)]
pub struct AddressPolicy {
    mode: PolicyMode,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    own_ports: Vec<u16>,
    ranges: Ranges,
}

impl AddressPolicy {
    /// `own_ports` are the TCP ports we listen on ourselves: never a destination on any address of this machine.
    pub fn new(mode: PolicyMode, allow: &[String], deny: &[String], own_ports: Vec<u16>) -> Result<Self, PolicyError> {
        let parse = |list: &[String]| list.iter().map(|text| Rule::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Self { mode, allow: parse(allow)?, deny: parse(deny)?, own_ports, ranges: Ranges::new() })
    }

    /// Whether `address`, found under `host`, may be connected to; if not, why, in words that follow the address.
    pub fn judge(&self, host: &str, address: SocketAddr, origin: Origin) -> Result<(), &'static str> {
        let plain = SocketAddr::new(unwrap_embedded(address.ip()), address.port());
        let allowed = closest(&self.allow, host, plain);
        if closest(&self.deny, host, plain).is_some_and(|denied| allowed.is_none_or(|allowed| denied > allowed)) {
            return Err("is on the list `deny` of [network] in config.toml");
        }
        let tier = self.ranges.tier(plain.ip());
        if tier == Tier::Loopback && self.own_ports.contains(&plain.port()) {
            return Err("is our own listener");
        }
        if tier == Tier::Never && allowed.is_none_or(|(_, prefix)| prefix != EXACT) {
            return Err(
                "is link-local, reserved or a metadata service (only `allow` of [network] in config.toml with \
                        this very address opens it)",
            );
        }
        if allowed.is_some() {
            return Ok(());
        }
        if !matches!(plain.port(), 80 | 443 | 1024..) {
            return Err("has a port below 1024 ([network] allow = [\"host:port\"] in config.toml opens it)");
        }
        match (self.mode, tier) {
            (PolicyMode::Allowlist, _) => Err("is not on the list `allow` of [network] in config.toml"),
            (_, Tier::Public) | (PolicyMode::Lan, Tier::Private) => Ok(()),
            (PolicyMode::Lan, Tier::Loopback) if origin == Origin::File => Ok(()),
            (PolicyMode::Lan, _) => Err(match plain.is_ipv4() {
                true => {
                    "is a loopback address ([network] allow = [\"127.0.0.0/8\"] in config.toml opens it to the API)"
                }
                false => "is a loopback address ([network] allow = [\"::1\"] in config.toml opens it to the API)",
            }),
            (PolicyMode::Public, _) => Err("is not a public address (`allow` of [network] in config.toml opens it)"),
        }
    }

    /// What forbids connecting to a URL that names its address, or this machine; of other names only a look-up could tell.
    pub fn forbids(&self, url: &str, origin: Origin) -> Option<String> {
        let url = url::Url::parse(url).ok()?;
        let (host, ip) = match url.host()? {
            url::Host::Ipv4(ip) => (ip.to_string(), IpAddr::V4(ip)),
            url::Host::Ipv6(ip) => (ip.to_string(), IpAddr::V6(ip)),
            url::Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
                (name.to_owned(), IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            url::Host::Domain(_) => return None,
        };
        let address = SocketAddr::new(ip, url.port_or_known_default()?);
        self.judge(&host, address, origin).err().map(|why| format!("{address} {why}"))
    }

    /// Whether a connection that was made leads back to ourselves: an own port on any address of this machine, which the
    /// kernel gives away by using that address for our end too.
    pub fn is_own_listener(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        self.own_ports.contains(&remote.port()) && local.ip() == remote.ip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: PolicyMode, allow: &[&str], deny: &[&str]) -> AddressPolicy {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        AddressPolicy::new(mode, &owned(allow), &owned(deny), vec![7380]).unwrap()
    }

    fn may(policy: &AddressPolicy, address: &str, origin: Origin) -> bool {
        policy.judge("oms.lan", address.parse().unwrap(), origin).is_ok()
    }

    #[test]
    fn the_default_serves_a_lan() {
        let lan = policy(PolicyMode::Lan, &[], &[]);
        for (address, file, api) in [
            ("10.0.0.5:443", true, true),
            ("[fd00::5]:8080", true, true),
            ("93.184.216.34:443", true, true),
            ("127.0.0.1:9000", true, false),
            ("[::1]:9000", true, false),
            ("[::ffff:127.0.0.1]:9000", true, false),
            ("127.0.0.1:7380", false, false),
            ("169.254.169.254:80", false, false),
            ("[::ffff:169.254.169.254]:80", false, false),
            ("[2002:a00:1::]:443", false, false),
            ("0.0.0.0:9000", false, false),
            ("10.0.0.5:22", false, false),
            ("10.0.0.5:1023", false, false),
            ("10.0.0.5:1024", true, true),
            ("10.0.0.5:80", true, true),
        ] {
            assert_eq!(may(&lan, address, Origin::File), file, "{address} from the file");
            assert_eq!(may(&lan, address, Origin::Api), api, "{address} from the API");
        }
    }

    #[test]
    fn what_a_url_says_of_its_address_is_judged_and_the_way_out_is_named() {
        let lan = policy(PolicyMode::Lan, &["127.0.0.2"], &[]);
        let forbids = |url: &str| lan.forbids(url, Origin::Api);
        for url in ["http://127.0.0.1:9000/x", "http://localhost:9000/", "http://hooks.localhost:9000/"] {
            let why = forbids(url).unwrap();
            assert!(why.starts_with("127.0.0.1:9000 is a loopback address"), "{why}");
            assert!(why.contains("[network] allow = [\"127.0.0.0/8\"] in config.toml"), "{why}");
        }
        assert!(forbids("https://[::1]/").unwrap().contains("allow = [\"::1\"]"));
        assert!(forbids("http://169.254.169.254/").unwrap().contains("this very address"));
        for url in ["http://127.0.0.2:9000/", "https://10.0.0.5/", "https://a.example/", "nonsense"] {
            assert_eq!(forbids(url), None, "{url}");
        }
        assert_eq!(lan.forbids("http://127.0.0.1:9000/", Origin::File), None);
    }

    #[test]
    fn the_other_modes_are_stricter() {
        let public = policy(PolicyMode::Public, &["10.1.0.0/16"], &[]);
        assert!(may(&public, "93.184.216.34:443", Origin::Api));
        assert!(may(&public, "10.1.2.3:443", Origin::Api));
        assert!(!may(&public, "10.2.2.3:443", Origin::File));
        assert!(!may(&public, "127.0.0.1:9000", Origin::File));
        let listed = policy(PolicyMode::Allowlist, &["oms.lan:443"], &[]);
        assert!(may(&listed, "10.2.2.3:443", Origin::Api));
        assert!(!may(&listed, "10.2.2.3:8443", Origin::Api));
        assert!(listed.judge("other.lan", "10.2.2.3:443".parse().unwrap(), Origin::Api).is_err());
    }

    #[test]
    fn the_closer_rule_wins() {
        let lists =
            policy(PolicyMode::Lan, &["10.1.2.0/24", "127.0.0.1:7380", "127.0.0.1"], &["10.0.0.0/8", "10.1.2.9"]);
        assert!(!may(&lists, "10.9.9.9:443", Origin::File));
        assert!(may(&lists, "10.1.2.3:443", Origin::File));
        assert!(may(&lists, "10.1.2.3:22", Origin::File));
        assert!(!may(&lists, "10.1.2.9:443", Origin::File));
        assert!(may(&lists, "127.0.0.1:7381", Origin::Api));
        assert!(!may(&lists, "127.0.0.1:7380", Origin::File), "our own listener stays closed");
        let tie = policy(PolicyMode::Lan, &["10.0.0.0/8"], &["10.0.0.0/8"]);
        assert!(may(&tie, "10.0.0.1:443", Origin::File));
    }

    #[test]
    fn only_the_very_address_opens_the_forbidden_ranges() {
        let wide = policy(PolicyMode::Lan, &["169.254.0.0/16", "oms.lan:80", "0.0.0.0/0"], &[]);
        assert!(!may(&wide, "169.254.169.254:80", Origin::File));
        let exact = policy(PolicyMode::Lan, &["169.254.169.254/32", "fe80::1/128"], &[]);
        assert!(may(&exact, "169.254.169.254:80", Origin::File));
        assert!(may(&exact, "[fe80::1]:443", Origin::Api));
        assert!(!may(&exact, "[fe80::2]:443", Origin::Api));
    }

    #[test]
    fn unreadable_entries_are_named() {
        for text in ["10.0.0.0/33", "oms.lan", "oms.lan:99999", ":80", "http://oms.lan:80", ""] {
            let error = AddressPolicy::new(PolicyMode::Lan, &[text.to_owned()], &[], Vec::new()).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        for text in ["10.0.0.0/8", "10.0.0.1/8", "::1", "[::1]:80", "1.2.3.4:80", "OMS.lan:80"] {
            assert!(AddressPolicy::new(PolicyMode::Lan, &[text.to_owned()], &[], Vec::new()).is_ok(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_address_is_judged_alike_however_it_is_written(bits: u32, port: u16, from_file: bool) {
            let lan = policy(PolicyMode::Lan, &["10.1.0.0/16", "8.8.8.8:53"], &["10.0.0.0/8"]);
            let origin = if from_file { Origin::File } else { Origin::Api };
            let v4 = std::net::Ipv4Addr::from_bits(bits);
            let judge = |ip: IpAddr| lan.judge("oms.lan", SocketAddr::new(ip, port), origin);
            let translated = std::net::Ipv6Addr::from_bits(0x64_ff9b << 96 | u128::from(bits));
            proptest::prop_assert_eq!(judge(v4.into()), judge(v4.to_ipv6_mapped().into()));
            proptest::prop_assert_eq!(judge(v4.into()), judge(translated.into()));
        }

        #[test]
        fn reading_a_rule_never_panics(text in ".{0,40}") {
            let _ = Rule::parse(&text);
        }
    }

    #[test]
    fn own_listeners_are_found_on_every_local_address() {
        let lan = policy(PolicyMode::Lan, &[], &[]);
        let check = |local: &str, remote: &str| lan.is_own_listener(local.parse().unwrap(), remote.parse().unwrap());
        assert!(check("192.168.1.5:40000", "192.168.1.5:7380"));
        assert!(!check("192.168.1.5:40000", "192.168.1.6:7380"));
        assert!(!check("192.168.1.5:40000", "192.168.1.5:9000"));
    }
}
