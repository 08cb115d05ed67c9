//! What kind of address an address is: pure tables, no opinion.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// How sensitive a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// Link-local, metadata services, multicast, reserved and documentation ranges: never a receiver.
    Never,
    Loopback,
    Private,
    Public,
}

/// IANA special-purpose registries (RFC 6890 and successors), and the metadata services of the large clouds.
const NEVER: [&str; 24] = [
    "0.0.0.0/8",
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "100::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "fd00:ec2::254/128",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// The table in parsed form; built once per policy.
#[derive(Clone, Debug)]
pub(super) struct Ranges {
    never: Vec<IpNet>,
    loopback: Vec<IpNet>,
    private: Vec<IpNet>,
}

fn parse(table: &[&str]) -> Vec<IpNet> {
    table.iter().map(|text| text.parse().expect("the tables above hold valid networks")).collect()
}

impl Ranges {
    pub(super) fn new() -> Self {
        Self { never: parse(&NEVER), loopback: parse(&LOOPBACK), private: parse(&PRIVATE) }
    }

    /// The tier of an unwrapped address.
    pub(super) fn tier(&self, ip: IpAddr) -> Tier {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
        if within(&self.never) {
            Tier::Never
        } else if within(&self.loopback) {
            Tier::Loopback
        } else if within(&self.private) {
            Tier::Private
        } else {
            Tier::Public
        }
    }
}

/// The IPv4 address that an IPv6 address stands for, where the network would in the end reach that one: mapped
/// (`::ffff:0:0/96`), compatible (`::/96`), translated (`64:ff9b::/96`, `::ffff:0:0:0/96`) and ISATAP. Tunnels whose inner
/// address is not the destination (6to4, Teredo) stay as they are; the table forbids them.
pub(super) fn unwrap_embedded(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    if v6 == Ipv6Addr::LOCALHOST || v6 == Ipv6Addr::UNSPECIFIED {
        return ip;
    }
    let embedded = matches!(
        v6.segments(),
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
            | [0, 0, 0, 0, 0xffff, 0, ..]
            | [0x64, 0xff9b, 0, 0, 0, 0, ..]
            | [_, _, _, _, 0 | 0x200, 0x5efe, ..]
    );
    if embedded {
        let [.., a, b, c, d] = v6.octets();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        ip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, Tier)]) {
        let ranges = Ranges::new();
        for (text, tier) in cases {
            assert_eq!(ranges.tier(unwrap_embedded(text.parse().unwrap())), *tier, "{text}");
        }
    }

    #[test]
    fn boundaries_of_the_tables() {
        use Tier::{Loopback, Never, Private, Public};
        check(&[
            ("0.0.0.0", Never),
            ("0.255.255.255", Never),
            ("1.0.0.0", Public),
            ("9.255.255.255", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("11.0.0.0", Public),
            ("100.63.255.255", Public),
            ("100.64.0.0", Private),
            ("100.100.100.199", Private),
            ("100.100.100.200", Never),
            ("100.127.255.255", Private),
            ("100.128.0.0", Public),
            ("126.255.255.255", Public),
            ("127.0.0.0", Loopback),
            ("127.255.255.255", Loopback),
            ("128.0.0.0", Public),
            ("168.63.129.16", Never),
            ("169.253.255.255", Public),
            ("169.254.0.0", Never),
            ("169.254.169.254", Never),
            ("169.255.0.0", Public),
            ("172.15.255.255", Public),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("172.32.0.0", Public),
            ("192.0.0.255", Never),
            ("192.0.1.0", Public),
            ("192.0.2.1", Never),
            ("192.167.255.255", Public),
            ("192.168.0.0", Private),
            ("192.169.0.0", Public),
            ("198.17.255.255", Public),
            ("198.18.0.0", Never),
            ("198.20.0.0", Public),
            ("223.255.255.255", Public),
            ("224.0.0.0", Never),
            ("255.255.255.255", Never),
            ("::", Never),
            ("::1", Loopback),
            ("fbff::", Public),
            ("fc00::", Private),
            ("fdff::", Private),
            ("fd00:ec2::254", Never),
            ("fe7f::", Public),
            ("fe80::1", Never),
            ("febf::", Never),
            ("fec0::", Never),
            ("ff02::1", Never),
            ("2001:db8::1", Never),
            ("2001:4860:4860::8888", Public),
        ]);
    }

    #[test]
    fn embedded_addresses_are_judged_by_what_they_reach() {
        use Tier::{Loopback, Never, Private, Public};
        check(&[
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", Never),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:8.8.8.8", Public),
            ("::127.0.0.1", Loopback),
            ("::2", Never),
            ("::ffff:0:127.0.0.1", Loopback),
            ("64:ff9b::169.254.169.254", Never),
            ("64:ff9b::8.8.8.8", Public),
            ("fe80::5efe:127.0.0.1", Loopback),
            ("2001:470::200:5efe:10.0.0.1", Private),
            ("2002:7f00:1::", Never),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Never),
        ]);
    }

    /// RFC 6890 ranges are unions of /16s and smaller: a /16 sample with its edges against the standard library's view.
    #[test]
    fn agrees_with_the_standard_library_on_ipv4() {
        let ranges = Ranges::new();
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x7fff, 0xffff] {
                let v4 = Ipv4Addr::from((u32::from(high) << 16) | low);
                let tier = ranges.tier(IpAddr::V4(v4));
                assert_eq!(tier == Tier::Loopback, v4.is_loopback(), "{v4}");
                let special = v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation();
                assert!(!special || tier == Tier::Never, "{v4}");
                assert!(!v4.is_private() || tier == Tier::Private, "{v4}");
            }
        }
    }
}
