//! Events for this room's tests, cut out of a line the way the ingest room does.

use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::model::{Event, Operation, Position, SegmentId, Timestamp};

/// The event of one JSON line; panics on a line that is none.
pub(super) fn event(line: &str) -> Event {
    let raw: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(line).unwrap();
    let text = |name: &str| raw.get(name).map(|value| serde_json::from_str::<String>(value.get()).unwrap());
    let range = |name: &str| -> Option<Range<usize>> {
        let part = raw.get(name)?.get();
        let start = part.as_ptr() as usize - line.as_ptr() as usize;
        Some(start..start + part.len())
    };
    let event_type = text("type").unwrap();
    let verb = event_type.rsplit('.').next().unwrap().to_owned();
    Event {
        seq: 1,
        position: Position { segment: SegmentId(1 << 80), offset: 0 },
        seen: Timestamp(1_773_309_600_000),
        line: Arc::from(line.as_bytes()),
        tenant: text("tenant").unwrap_or_else(|| "default".to_owned()).into(),
        id: text("id").unwrap_or_else(|| "made-up".to_owned()).into(),
        time: text("time").unwrap_or_else(|| Timestamp(1_773_309_600_000).to_string()).into(),
        key: text("key").map(Into::into),
        operation: Operation::of_verb(&verb),
        trigger: verb.into(),
        traceparent: None,
        data: range("data").unwrap(),
        old: range("old"),
        event_type: event_type.into(),
    }
}
