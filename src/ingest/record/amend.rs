//! Filling in what an event lacks before it is written into the spool, without touching the rest of its line.

use std::ops::Range;

use super::{parse_line, range_in, read_object};
use crate::model::{Position, Rejection, SegmentId, Timestamp};

/// A line that is an event, as it goes into the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// The event's object, without the checksum that may have stood before it.
    pub line: Vec<u8>,
    pub id: String,
    /// The tenant that the line named itself.
    pub named_tenant: Option<String>,
}

/// Judges `line` as the reader would, and gives it `id` and `tenant` where it names none. Every other byte stays.
pub fn amend(line: &[u8], id: &str, tenant: Option<&str>) -> Result<Amended, Rejection> {
    let nowhere = Position { segment: SegmentId(0), offset: 0 };
    let event = parse_line(line, nowhere, 0, Timestamp::default())?;
    let object = std::str::from_utf8(&event.line).expect("a line that was read is UTF-8");
    let envelope = read_object(object, 0)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut fill = |name: &str, found: Option<&str>, value: &str| {
        let value = serde_json::Value::from(value);
        match found {
            None => edits.push((1..1, format!("\"{name}\":{value},"))),
            // `null` says as much as nothing, and a second field of that name would be one too many.
            Some("null") => edits.push((range_in(object, found.expect("it is null")), value.to_string())),
            Some(_) => {}
        }
    };
    let is_missing = |found: Option<&str>| found.is_none_or(|raw| raw == "null");
    fill("id", envelope.id, id);
    if let Some(tenant) = tenant {
        fill("tenant", envelope.tenant, tenant);
    }
    let named_tenant = (!is_missing(envelope.tenant)).then(|| event.tenant.to_string());
    let id = if is_missing(envelope.id) { id.to_owned() } else { event.id.to_string() };
    let mut text = object.to_owned();
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    edits.into_iter().for_each(|(range, value)| text.replace_range(range, &value));
    Ok(Amended { line: text.into_bytes(), id, named_tenant })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, tenant: Option<&str>, expected: &str) -> Amended {
        let amended = amend(line.as_bytes(), "evt_1", tenant).unwrap();
        assert_eq!(String::from_utf8_lossy(&amended.line), expected);
        amend(&amended.line, "other", tenant).expect("what was filled in is an event");
        amended
    }

    #[test]
    fn what_is_missing_is_filled_in_and_nothing_else_changes() {
        let made = check(r#" {"type":"a.b", "data":1.0 } "#, None, r#"{"id":"evt_1","type":"a.b", "data":1.0 }"#);
        assert_eq!((made.id.as_str(), made.named_tenant), ("evt_1", None));
        let both = r#"{"tenant":"acme","id":"evt_1","type":"a.b","data":{}}"#;
        let made = amend(br#"{"type":"a.b","data":{}}"#, "evt_1", Some("acme")).unwrap();
        assert_eq!(made.line.len(), both.len());
        let named = check(
            r#"{"id":"x","tenant":"t","type":"a.b","data":{}}"#,
            Some("acme"),
            r#"{"id":"x","tenant":"t","type":"a.b","data":{}}"#,
        );
        assert_eq!((named.id.as_str(), named.named_tenant.as_deref()), ("x", Some("t")));
        check(
            r#"{"tenant":null,"type":"a.b","data":[1,2],"id":null}"#,
            Some("acme"),
            r#"{"tenant":"acme","type":"a.b","data":[1,2],"id":"evt_1"}"#,
        );
    }

    #[test]
    fn a_checksum_is_checked_and_left_off() {
        let object = r#"{"type":"a.b","data":1}"#;
        let line = format!("{:08x} {object}", crc32c::crc32c(object.as_bytes()));
        check(&line, None, r#"{"id":"evt_1","type":"a.b","data":1}"#);
        assert!(amend(format!("00000000 {object}").as_bytes(), "e", None).is_err());
    }
}
