//! Durations and instants as people write them, on the command line and over the API. The grammar is small on purpose:
//! `250ms`, `15s`, `15m`, `2h`, `7d`, or an RFC 3339 instant; a duration where an instant is wanted means that long ago.

use std::time::Duration;

use super::Timestamp;

/// Reads a duration.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a duration such as 250ms, 15s, 15m, 2h or 7d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(wrong)
}

/// An instant, said absolutely or as a distance into the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(Timestamp),
    Ago(Duration),
}

impl When {
    /// Reads an instant.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(instant) = Timestamp::parse(text) {
            return Ok(Self::At(instant));
        }
        parse_span(text).map(Self::Ago).map_err(|_| {
            format!("\"{text}\" is neither an instant such as 2026-03-12T10:00:00Z nor a time ago such as 15m or 2h")
        })
    }

    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(instant) => instant,
            Self::Ago(length) => now.minus(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_span("2h"), Ok(Duration::from_secs(7_200)));
        for wrong in ["", "5", "s", "1.5h", "-3s", "99999999999999999999d", "5 s"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
        let noon = Timestamp(1_773_309_600_000);
        assert_eq!(When::parse("2026-03-12T10:00:00Z"), Ok(When::At(noon)));
        assert_eq!(When::parse("2s").unwrap().at(noon), Timestamp(noon.0 - 2_000));
        assert!(When::parse("yesterday").is_err());
    }
}
