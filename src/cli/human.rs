//! Numbers, sizes, spans and instants as people read them, and text from outside made safe to print.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// One unit, rounded down: `38 ms`, `5 s`, `41 min`, `3 h`, `2 d`.
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Two units: `3 d 4 h`, `5 h 12 min`.
pub fn long_span(length: Duration) -> String {
    let seconds = length.as_secs();
    let (large, small) = match seconds {
        0..60 => return span(length),
        60..3_600 => (span(length), format!("{} s", seconds % 60)),
        3_600..86_400 => (format!("{} h", seconds / 3_600), format!("{} min", seconds % 3_600 / 60)),
        _ => (format!("{} d", seconds / 86_400), format!("{} h", seconds % 86_400 / 3_600)),
    };
    format!("{large} {small}")
}

/// `2 s ago`, or `never`.
pub fn ago(now: Timestamp, then: Option<Timestamp>) -> String {
    match then {
        Some(then) if now.since(then) < Duration::from_secs(1) => "now".to_owned(),
        Some(then) => format!("{} ago", span(now.since(then))),
        None => "never".to_owned(),
    }
}

/// `in 5 s`, or `now` when it has come.
pub fn ahead(now: Timestamp, then: Timestamp) -> String {
    match then.since(now) {
        Duration::ZERO => "now".to_owned(),
        length => format!("in {}", span(length)),
    }
}

/// Thousands in groups: `1 204 881`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Powers of 1024: `412 B`, `1.2 KiB`, `8.2 GiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = number.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Wall clock: `11:41:52`.
pub fn clock(zone: &TimeZone, instant: Timestamp) -> String {
    format(zone, instant, "%H:%M:%S")
}

/// Wall clock with milliseconds: `11:41:52.120`.
pub fn fine_clock(zone: &TimeZone, instant: Timestamp) -> String {
    format(zone, instant, "%H:%M:%S.%3f")
}

/// Date, wall clock and offset: `2026-03-12 11:41:52 +01:00`.
pub fn stamp(zone: &TimeZone, instant: Timestamp) -> String {
    format(zone, instant, "%Y-%m-%d %H:%M:%S %:z")
}

fn format(zone: &TimeZone, instant: Timestamp, shape: &str) -> String {
    match jiff::Timestamp::from_millisecond(instant.0) {
        Ok(instant) => instant.to_zoned(zone.clone()).strftime(shape).to_string(),
        Err(_) => instant.0.to_string(),
    }
}

/// Text from outside with control characters and direction overrides made visible: an event must not be able to drive
/// somebody's terminal.
pub fn clean(text: &str) -> String {
    let hostile = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(hostile) {
        return text.to_owned();
    }
    text.chars().fold(String::with_capacity(text.len() + 8), |mut safe, c| {
        match hostile(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
        safe
    })
}

/// `1 error`, `2 errors`, `2 deliveries`.
pub fn plural(number: u64, noun: &str) -> String {
    let number_text = count(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number_text} {noun}"),
        Some(stem) => format!("{number_text} {stem}ies"),
        None => format!("{number_text} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_unit_one_would_say() {
        for (millis, expected) in [
            (38, "38 ms"),
            (5_999, "5 s"),
            (2_460_000, "41 min"),
            (10_800_000, "3 h"),
            (90_000_000, "25 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected);
        }
        assert_eq!(long_span(Duration::from_secs(273_600)), "3 d 4 h");
        assert_eq!(long_span(Duration::from_secs(65)), "1 min 5 s");
    }

    #[test]
    fn numbers_and_sizes() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_204_881), "1 204 881");
        assert_eq!(["event", "delivery"].map(|noun| plural(1, noun)), ["1 event", "1 delivery"]);
        assert_eq!(["event", "delivery"].map(|noun| plural(1_000, noun)), ["1 000 events", "1 000 deliveries"]);
        assert_eq!(bytes(412), "412 B");
        assert_eq!(bytes(1_260), "1.2 KiB");
        assert_eq!(bytes(8_804_682_957), "8.2 GiB");
    }

    #[test]
    fn instants() {
        let noon = Timestamp(1_773_309_600_000);
        assert_eq!(ago(noon, None), "never");
        assert_eq!(ago(noon, Some(noon)), "now");
        assert_eq!(ago(noon, Some(Timestamp(noon.0 - 2_000))), "2 s ago");
        assert_eq!(ahead(noon, Timestamp(noon.0 + 5_000)), "in 5 s");
        assert_eq!(stamp(&TimeZone::UTC, noon), "2026-03-12 10:00:00 +00:00");
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(clean("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(clean("é 日本"), "é 日本");
    }
}
