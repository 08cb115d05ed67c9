//! The small languages inside strings: durations, sizes, rates, networks, header fields. Pure.

use std::time::Duration;

use ipnet::IpNet;

use crate::model::Rate;

const DURATION_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// `250ms`, `15s`, `2h`, `30d`, or several in a row (`1h30m`). No fractions, no signs.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total_ms = 0u64;
    while !rest.is_empty() || total_ms == 0 && rest.len() == text.len() {
        let (count, after) = leading_number(rest)?;
        let unit_len = after.find(|at: char| !at.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit_ms = unit(&after[..unit_len], DURATION_UNITS)?;
        total_ms = total_ms.checked_add(count.checked_mul(unit_ms)?)?;
        rest = &after[unit_len..];
    }
    Some(Duration::from_millis(total_ms))
}

/// The duration as the configuration would write it: `1h30m`.
pub fn say_duration(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit_ms) in DURATION_UNITS.iter().rev() {
        if rest_ms >= *unit_ms {
            text.push_str(&format!("{}{name}", rest_ms / unit_ms));
            rest_ms %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `64MiB`, `1GB`, `512B`: bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (count, name) = leading_number(text)?;
    count.checked_mul(unit(name.trim_start(), SIZE_UNITS)?)
}

/// The size in the largest binary unit that divides it.
pub(super) fn say_size(bytes: u64) -> String {
    let fits = |unit: u64| bytes >= unit && bytes.is_multiple_of(unit);
    let (name, unit) = SIZE_UNITS[..5].iter().rev().find(|(_, unit)| fits(*unit)).unwrap_or(&SIZE_UNITS[0]);
    format!("{}{name}", bytes / unit)
}

/// `50/s`, `1000/h`, `1/250ms`: requests per duration; a unit alone means one of it.
pub fn rate(text: &str) -> Option<Rate> {
    let (count, per) = text.split_once('/')?;
    let count = count.trim_end().parse::<u32>().ok().filter(|count| *count > 0)?;
    let per = per.trim_start();
    let per = if per.starts_with(|first: char| first.is_ascii_digit()) {
        duration(per)?
    } else {
        duration(&format!("1{per}"))?
    };
    (!per.is_zero()).then_some(Rate { count, per })
}

/// One entry of `[network] allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEntry {
    /// Every address in it, on every port. A bare address is a network of one.
    Net(IpNet),
    /// A name or address with a port, compared as written in the URL (names in lower case).
    Host { host: String, port: u16 },
}

impl std::fmt::Display for NetworkEntry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Net(net) => net.fmt(out),
            Self::Host { host, port } => write!(out, "{host}:{port}"),
        }
    }
}

/// `10.0.0.0/8`, `fd00::/8`, `192.168.1.7`, `erp.lan:8080`, `[::1]:9000`.
pub(super) fn network_entry(text: &str) -> Option<NetworkEntry> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(NetworkEntry::Net(net.trunc()));
    }
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        return Some(NetworkEntry::Net(IpNet::from(address)));
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let legal = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        }
    };
    legal.then(|| NetworkEntry::Host { host: bare.unwrap_or(host).to_ascii_lowercase(), port })
}

/// Whether `name` is a legal header name: a token of RFC 9110 section 5.6.2.
pub(super) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether `value` is a legal header value: visible ASCII, with spaces and tabs only inside (RFC 9110 section 5.5,
/// without the obsolete bytes above 0x7f).
pub(super) fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) && value.trim_matches([' ', '\t']) == value
}

/// Whether `text` may name a tenant or a subscription: 1 to 128 bytes, no control characters, no blanks at the ends.
pub(super) fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && !text.chars().any(char::is_control) && text.trim() == text
}

/// The candidate that `word` was probably meant to be.
pub(super) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_ascii_lowercase();
    let near = candidates.into_iter().map(|each| (strsim::osa_distance(&lower, &each.to_ascii_lowercase()), each));
    near.min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + lower.chars().count() / 4)
        .map(|(_, each)| each)
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|at: char| !at.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

fn unit(name: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find(|(known, _)| *known == name).map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("15s", Some(ms(15_000))),
            ("250ms", Some(ms(250))),
            ("2h", Some(ms(7_200_000))),
            ("30d", Some(ms(2_592_000_000))),
            ("1h30m", Some(ms(5_400_000))),
            ("0s", Some(ms(0))),
            ("0s1s", Some(ms(1000))),
            ("", None),
            ("15", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("15 s", None),
            ("15sec", None),
            ("99999999999999999999d", None),
            ("999999999999999999d", None),
        ] {
            assert_eq!(duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes_and_rates() {
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        assert_eq!(size("1GB"), Some(1_000_000_000));
        assert_eq!(size("64"), None);
        assert_eq!(size("MiB"), None);
        assert_eq!(say_size(1 << 20), "1MiB");
        assert_eq!(say_size(1000), "1000B");
        assert_eq!(rate("50/s"), Some(Rate { count: 50, per: Duration::from_secs(1) }));
        assert_eq!(rate("3/10s"), Some(Rate { count: 3, per: Duration::from_secs(10) }));
        for bad in ["50", "/s", "0/s", "5/", "5/0s", "-1/s", "5/year"] {
            assert_eq!(rate(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn networks() {
        let host = |host: &str, port| Some(NetworkEntry::Host { host: host.to_owned(), port });
        let net = |text: &str| Some(NetworkEntry::Net(text.parse().unwrap()));
        assert_eq!(network_entry("10.0.0.0/8"), net("10.0.0.0/8"));
        assert_eq!(network_entry("127.0.0.1"), net("127.0.0.1/32"));
        assert_eq!(network_entry("::1"), net("::1/128"));
        assert_eq!(network_entry("[::1]:9000"), host("::1", 9000));
        assert_eq!(network_entry("ERP.lan:8080"), host("erp.lan", 8080));
        for bad in ["erp.lan", "10.0.0.0/33", "erp.lan:0", "erp.lan:http", ":80", "a b:80", "http://a:80"] {
            assert_eq!(network_entry(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn header_fields() {
        assert!(is_header_name("X-Api-Key"));
        assert!(!is_header_name("X Api") && !is_header_name("") && !is_header_name("X:"));
        assert!(is_header_value("Bearer x") && is_header_value(""));
        for bad in ["a\r\nb", " a", "a ", "é", "a\0"] {
            assert!(!is_header_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn suggestions_stay_near() {
        assert_eq!(closest("at_least_once", ["at-most-once", "at-least-once"]), Some("at-least-once"));
        assert_eq!(closest("event", ["url", "events"]), Some("events"));
        assert_eq!(closest("banana", ["url", "events"]), None);
    }

    proptest! {
        #[test]
        fn said_durations_read_back(ms in 0u64..10_000_000_000) {
            let wait = Duration::from_millis(ms);
            prop_assert_eq!(duration(&say_duration(wait)), Some(wait));
        }

        #[test]
        fn no_text_panics(text in ".{0,24}") {
            let _ = (duration(&text), size(&text), rate(&text), network_entry(&text));
        }
    }
}
