//! One line of a log, judged: an event, or the reason why it is none. Pure. Owns the grammar of a line; where lines
//! begin and end is `framing`, what becomes of a rejected one is `quarantine`.
//!
//! ```text
//! {"type":"salesOrder.updated","data":{...}, ...}            plain
//! 1a2b3c4d {"type":"salesOrder.updated","data":{...}, ...}   checked: CRC32C of the object, lower-case hex
//! ```
//!
//! Why only objects: no strict prefix and no strict suffix of a JSON object is itself one, so a line torn by a crash
//! or a short write can never pass for an event.

mod amend;
mod envelope;
mod fields;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use compact_str::{ToCompactString, format_compact};
use serde::de::IgnoredAny;

use crate::model::{Event, Operation, Position, Rejection, RejectionReason, Seq, Timestamp};

pub use amend::{Amended, amend};
use envelope::Envelope;

/// Deepest nesting of objects and arrays in a line, the line's own object included.
const MAX_DEPTH: usize = 64;

pub(super) fn reject(reason: RejectionReason, detail: impl Into<String>) -> Rejection {
    Rejection { reason, detail: detail.into() }
}

/// Reads one line, given without its LF. `position`, `seq` and `seen` are what the event will say of itself.
///
/// The event's `line` is the object's own bytes: white space around it and a checksum in front of it are left off.
/// Format: RFC 8259 for the JSON, `CloudEvents` 1.0 JSON for lines with `specversion`.
pub fn parse_line(line: &[u8], position: Position, seq: Seq, seen: Timestamp) -> Result<Event, Rejection> {
    let text = std::str::from_utf8(line).map_err(|error| {
        reject(
            RejectionReason::InvalidUtf8,
            format!("byte {} of the line is not UTF-8; write the file as UTF-8", error.valid_up_to() + 1),
        )
    })?;
    if let Some(at) = memchr::memchr(0, line) {
        let detail = format!(
            "byte {} of the line is NUL; a crash or a truncated file leaves such holes: send the event again",
            at + 1
        );
        return Err(reject(RejectionReason::NulBytes, detail));
    }
    let trimmed = text.trim_matches(is_json_space);
    let leading = text.len() - text.trim_start_matches(is_json_space).len();
    let (object, skipped) = split_checksum(trimmed)?;
    let envelope = read_object(object, leading + skipped)?;
    assemble(&envelope, object, position, seq, seen)
}

/// White space of RFC 8259 section 2, and nothing else that Unicode calls so.
fn is_json_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The object of a line, its checksum verified if it has one, and how many bytes stand before it.
fn split_checksum(line: &str) -> Result<(&str, usize), Rejection> {
    let bytes = line.as_bytes();
    let is_checked = bytes.len() > 9
        && bytes[..8].iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
        && bytes[8] == b' '
        && bytes[9..].trim_ascii_start().starts_with(b"{");
    if !is_checked {
        return Ok((line, 0));
    }
    let object = line[9..].trim_start_matches(is_json_space);
    let expected = u32::from_str_radix(&line[..8], 16).expect("eight hex digits fit");
    let found = crc32c::crc32c(object.as_bytes());
    if expected != found {
        let detail = format!(
            "the line says CRC32C {expected:08x}, its JSON has {found:08x}; another writer's bytes got into it: send the event again"
        );
        return Err(reject(RejectionReason::BadCrc, detail));
    }
    Ok((object, line.len() - object.len()))
}

/// Checks that `object` is one strict JSON object and picks out the envelope. `before` bytes of the line precede it.
fn read_object(object: &str, before: usize) -> Result<Envelope<'_>, Rejection> {
    scan::envelope(object).map_or_else(|| parser_proper(object, before), Ok)
}

fn parser_proper(object: &str, before: usize) -> Result<Envelope<'_>, Rejection> {
    if !object.starts_with('{') {
        return Err(not_an_object(object, before));
    }
    let mut values = serde_json::Deserializer::from_str(object).into_iter::<Envelope>();
    let envelope = match values.next() {
        Some(Ok(envelope)) => envelope,
        Some(Err(error)) => return Err(invalid_json(&error, before)),
        None => return Err(not_an_object(object, before)),
    };
    let end = values.byte_offset();
    if !object[end..].trim_matches(is_json_space).is_empty() {
        let detail = format!(
            "more bytes follow the JSON object at byte {}; write one object per line, with LF before and after it",
            before + end + 1
        );
        return Err(reject(RejectionReason::TrailingData, detail));
    }
    if let Some(at) = too_deep(object.as_bytes()) {
        let detail = format!("nested deeper than {MAX_DEPTH} levels at byte {}; flatten the record", before + at + 1);
        return Err(reject(RejectionReason::TooDeep, detail));
    }
    if let Some(key) = envelope.duplicate_key() {
        let detail = format!("the field `{key}` occurs twice; write each top-level field once");
        return Err(reject(RejectionReason::DuplicateKey, detail));
    }
    Ok(envelope)
}

fn not_an_object(text: &str, before: usize) -> Rejection {
    if text.starts_with('\u{feff}') {
        let detail = "a byte order mark stands before the line; it is allowed only as the first bytes of a file";
        return reject(RejectionReason::InvalidJson, detail);
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => reject(
            RejectionReason::NotObject,
            "the line is JSON but not an object; an event is one object: {\"type\":...,\"data\":...}",
        ),
        Err(error) => invalid_json(&error, before),
    }
}

fn invalid_json(error: &serde_json::Error, before: usize) -> Rejection {
    let message = error.to_string();
    let cause = message.split(" at line ").next().unwrap_or_default();
    let byte = before + error.column().max(1);
    let detail =
        format!("not JSON at byte {byte}: {cause}; write one whole object per line, with LF before and after it");
    reject(RejectionReason::InvalidJson, detail)
}

/// The offset at which valid JSON first nests deeper than `MAX_DEPTH`. serde_json skips raw values without recursion
/// and so without a limit of its own.
fn too_deep(json: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'{', b'[', json).nth(MAX_DEPTH)?;
    let (mut depth, mut at) = (0usize, 0);
    while at < json.len() {
        match json[at] {
            b'"' => at += string_end(&json[at..]),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Offset of the closing quote of the string that `json` begins with.
fn string_end(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
    json.len()
}

fn assemble(
    envelope: &Envelope<'_>,
    object: &str,
    position: Position,
    seq: Seq,
    seen: Timestamp,
) -> Result<Event, Rejection> {
    if let Some(version) = envelope.specversion {
        fields::specversion(version)?;
    }
    let event_type = fields::event_type(envelope.event_type)?;
    let data = fields::data(envelope)?;
    let id = fields::id(envelope.id)?;
    let verb = event_type.rsplit('.').next().unwrap_or_default();
    let key = fields::text("key", envelope.key, fields::MAX_KEY)?;
    let subject = match envelope.specversion {
        Some(_) => fields::text("subject", envelope.subject, fields::MAX_KEY)?,
        None => None,
    };
    Ok(Event {
        seq,
        position,
        seen,
        tenant: fields::text("tenant", envelope.tenant, fields::MAX_NAME)?.unwrap_or_else(|| "default".into()),
        id: id.unwrap_or_else(|| format_compact!("{}-{}", position.segment, position.offset)),
        time: fields::time(envelope.time)?.unwrap_or_else(|| seen.to_compact_string()),
        key: subject.or(key),
        operation: fields::operation(envelope.operation)?.unwrap_or_else(|| Operation::of_verb(verb)),
        trigger: fields::text("trigger", envelope.trigger, fields::MAX_NAME)?.unwrap_or_else(|| verb.into()),
        traceparent: fields::traceparent(envelope.traceparent)?,
        data: range_in(object, data),
        old: envelope.old.filter(|old| *old != "null").map(|old| range_in(object, old)),
        line: Arc::from(object.as_bytes()),
        event_type,
    })
}

/// Where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &str, part: &str) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}
