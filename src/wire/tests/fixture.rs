//! Events, subscriptions and one fixed instant to render with.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{DeliveryId, Event, Filter, Operation, Position, Secret, SegmentId, Subscription, Timestamp};
use crate::wire::dialects::{Dialects, EXAMPLES, compile};
use crate::wire::{Dialect, RenderInput, Request};

/// 2026-03-12T10:00:00Z.
pub(super) const NOW: Timestamp = Timestamp(1_773_309_600_000);

/// Secrets of the golden files: newest, older, and an Ed25519 pair.
pub(super) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(super) const OLDER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(super) const PAIR: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    event_type: String,
    id: Option<String>,
    key: Option<String>,
    trigger: Option<String>,
    traceparent: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    old: Option<&'a RawValue>,
}

/// The event a line stands for.
pub(super) fn event(line: &str) -> Event {
    let fields: Line<'_> = serde_json::from_str(line).unwrap();
    let range = |value: &RawValue| {
        let start = value.get().as_ptr().addr() - line.as_ptr().addr();
        start..start + value.get().len()
    };
    let verb = fields.event_type.rsplit('.').next().unwrap().to_owned();
    Event {
        seq: 1,
        position: Position { segment: SegmentId(0), offset: 0 },
        seen: NOW,
        line: line.as_bytes().into(),
        tenant: "acme".into(),
        id: fields.id.unwrap_or_else(|| "evt_0001".to_owned()).into(),
        time: "2026-03-12T09:59:58Z".into(),
        key: fields.key.map(Into::into),
        operation: Operation::of_verb(&verb),
        trigger: fields.trigger.unwrap_or(verb).into(),
        traceparent: fields.traceparent.map(Into::into),
        data: range(fields.data),
        old: fields.old.map(range),
        event_type: fields.event_type.into(),
    }
}

pub(super) fn subscription(secrets: &[&str], params: &[(&str, &str)]) -> Subscription {
    Subscription {
        filter: Filter { tenant: "acme".to_owned(), ..Filter::default() },
        secrets: secrets.iter().copied().map(Secret::new).collect(),
        params: params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Subscription::new("oms", "https://oms.example/hooks")
    }
}

/// A built-in dialect or an example.
pub(super) fn dialect(name: &str) -> Dialect {
    if let Some(dialect) = Dialects::built_in().get(name) {
        return Dialect::clone(dialect);
    }
    let (_, table) = EXAMPLES.iter().find(|(example, _)| *example == name).unwrap();
    compile(name, table)
}

/// Renders the third attempt of `line` at `NOW`.
pub(super) fn render(dialect: &Dialect, line: &str, subscription: &Subscription) -> Request {
    let event = event(line);
    let delivery: DeliveryId = "caf8e206-49bc-424c-b228-b4e4ac548f61".parse().unwrap();
    dialect.render(&RenderInput { event: &event, subscription, delivery, attempt: 3, now: NOW }).unwrap()
}

/// Compiles a user's table.
pub(super) fn user_dialect(table: &str) -> Result<Dialect, Vec<crate::wire::DialectFault>> {
    Dialect::compile("mine", &table.parse().unwrap())
}
