//! What each field of an event may hold (the event table of the contract). Every refusal names the field, says what
//! was found and what to write instead.

use compact_str::CompactString;

use crate::model::{Operation, Rejection, RejectionReason, Timestamp, valid_event_type};

use super::envelope::Envelope;
use super::reject;

/// Longest `tenant` and `trigger`, in bytes.
pub(super) const MAX_NAME: usize = 128;
/// Longest `key`, in bytes.
pub(super) const MAX_KEY: usize = 512;
/// Longest `id`, in bytes.
const MAX_ID: usize = 128;

fn schema(detail: impl Into<String>) -> Rejection {
    reject(RejectionReason::Schema, detail)
}

/// The text of an optional string field; `null` counts as absent, since many serializers write it so.
fn string(field: &str, raw: Option<&str>) -> Result<Option<CompactString>, Rejection> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else {
        return Ok(None);
    };
    if !raw.starts_with('"') {
        let hint = if raw.starts_with(['{', '[']) { "" } else { "; put it in quotes" };
        return Err(schema(format!("`{field}` must be a string, found {}{hint}", kind(raw))));
    }
    // Without escapes, the text is what stands between the quotes.
    if let Some(plain) = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'))
        && memchr::memchr(b'\\', plain.as_bytes()).is_none()
    {
        return Ok(Some(plain.into()));
    }
    serde_json::from_str::<String>(raw)
        .map(|text| Some(text.into()))
        .map_err(|_| schema(format!("`{field}` holds an escape that is no character; write it as plain UTF-8")))
}

fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(b'"') => "a string",
        _ => "a number",
    }
}

/// An optional text that may end up in a header or a path: 1 to `max` bytes without control characters.
pub(super) fn text(field: &str, raw: Option<&str>, max: usize) -> Result<Option<CompactString>, Rejection> {
    let Some(text) = string(field, raw)? else {
        return Ok(None);
    };
    if text.is_empty() || text.len() > max {
        return Err(schema(format!("`{field}` has {} bytes; it must have 1 to {max}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(schema(format!("`{field}` holds a control character; remove it")));
    }
    Ok(Some(text))
}

pub(super) fn event_type(raw: Option<&str>) -> Result<CompactString, Rejection> {
    let Some(name) = string("type", raw)? else {
        return Err(schema("`type` is missing; name the event, as in \"type\":\"salesOrder.updated\""));
    };
    if !valid_event_type(&name) {
        return Err(schema(format!(
            "`type` is {:?}; use dotted segments of letters, digits and `_`, at most 128 bytes, as in `salesOrder.updated`",
            shortened(&name)
        )));
    }
    Ok(name)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 64 { text.to_owned() } else { text.chars().take(64).chain(['…']).collect() }
}

/// The raw bytes of the record.
pub(super) fn data<'a>(envelope: &Envelope<'a>) -> Result<&'a str, Rejection> {
    match envelope.data {
        Some("null") => {
            Err(schema("`data` is null; it must hold the record (on a delete, the row as it last existed)"))
        }
        Some(data) => Ok(data),
        None if envelope.data_base64.is_some() => {
            Err(schema("`data_base64` is not supported; put the record into `data` as JSON"))
        }
        None => Err(schema("`data` is missing; put the full record into it")),
    }
}

pub(super) fn id(raw: Option<&str>) -> Result<Option<CompactString>, Rejection> {
    let Some(id) = string("id", raw)? else {
        return Ok(None);
    };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-');
    if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(legal) {
        return Err(schema(format!(
            "`id` is {:?}; use 1 to {MAX_ID} letters, digits, `_`, `:` or `-`, or leave it out",
            shortened(&id)
        )));
    }
    Ok(Some(id))
}

/// The producer's own text of the time, checked against the `date-time` of RFC 3339 section 5.6.
pub(super) fn time(raw: Option<&str>) -> Result<Option<CompactString>, Rejection> {
    let Some(time) = string("time", raw)? else {
        return Ok(None);
    };
    let exists = || is_any_month(time.as_bytes()) || Timestamp::parse(&time).is_some();
    if !is_date_time(time.as_bytes()) || !exists() {
        return Err(schema(format!(
            "`time` is {:?}; write RFC 3339, as in `2026-03-12T10:00:00Z`, or leave it out",
            shortened(&time)
        )));
    }
    Ok(Some(time))
}

/// Whether a text of that shape names, in UTC, a second of a day that every month of every year has: then no calendar
/// need be asked.
fn is_any_month(text: &[u8]) -> bool {
    let two = |at: usize| (text[at] - b'0') * 10 + (text[at + 1] - b'0');
    let is_common = (1..=12).contains(&two(5)) && (1..=28).contains(&two(8)) && (19..=20).contains(&two(0));
    text.len() == 20 && is_common && two(11) < 24 && two(14) < 60 && two(17) < 60
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`. The shape only: whether such a day exists is for the calendar.
fn is_date_time(text: &[u8]) -> bool {
    let fits = |bytes: &[u8], shape: &[u8]| {
        bytes.len() == shape.len()
            && bytes.iter().zip(shape).all(|(byte, want)| match want {
                b'9' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    if text.len() < 20 || !fits(&text[..19], b"9999-99-99T99:99:99") {
        return false;
    }
    let mut rest = &text[19..];
    if rest[0] == b'.' {
        let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return false;
        }
        rest = &rest[1 + digits..];
    }
    matches!(rest, b"Z" | b"z") || fits(rest, b"+99:99")
}

pub(super) fn operation(raw: Option<&str>) -> Result<Option<Operation>, Rejection> {
    let Some(word) = string("operation", raw)? else {
        return Ok(None);
    };
    Operation::parse(&word)
        .map(Some)
        .ok_or_else(|| schema(format!("`operation` is {:?}; use INSERT, UPDATE or DELETE", shortened(&word))))
}

/// A trace context that does not parse is left out rather than costing the event (W3C Trace Context section 3.2.2).
pub(super) fn traceparent(raw: Option<&str>) -> Result<Option<CompactString>, Rejection> {
    let shape = |text: &CompactString| {
        let lengths = [2, 32, 16, 2];
        let mut parts = text.split('-');
        lengths.iter().all(|&length| {
            parts.next().is_some_and(|part| {
                part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
        }) && parts.next().is_none()
    };
    Ok(string("traceparent", raw)?.filter(shape))
}

pub(super) fn specversion(raw: &str) -> Result<(), Rejection> {
    if raw == "\"1.0\"" {
        return Ok(());
    }
    Err(schema(format!("`specversion` is {}; only CloudEvents \"1.0\" is known", shortened(raw))))
}
