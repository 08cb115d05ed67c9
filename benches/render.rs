//! What one attempt costs before it is sent: an event becomes a signed request, in each dialect.

use divan::counter::BytesCount;
use spoolhook::ingest::parse_line;
use spoolhook::model::{DeliveryId, Event, Position, Secret, SegmentId, Subscription, Timestamp, delivery_id};
use spoolhook::wire::{Dialects, RenderInput};

const NAMES: [&str; 6] = ["standard", "cloudevents", "carbon", "umbra", "carriyo", "clarus"];
const POSITION: Position = Position { segment: SegmentId(1), offset: 0 };

fn main() {
    divan::main();
}

fn event() -> Event {
    let note = "x".repeat(300);
    let line = format!(
        r#"{{"type":"salesOrder.updated","id":"evt-1","key":"SO-1","time":"2026-03-12T10:00:00Z","data":{{"id":"SO-1","status":"shipped","total":1500,"note":"{note}"}},"old":{{"id":"SO-1","status":"open"}}}}"#
    );
    parse_line(line.as_bytes(), POSITION, 1, Timestamp(0)).expect("an event")
}

fn subscription(dialect: &str) -> Subscription {
    let params = [
        ("table", "salesOrder"),
        ("merchant", "acme"),
        ("tenant-id", "acme"),
        ("domain", "acme.example"),
        ("automation_id", "42"),
    ];
    Subscription {
        dialect: dialect.to_owned(),
        secrets: vec![Secret::new("whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LW5vdC1mb3ItdXNl")],
        params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Subscription::new("bench", "http://127.0.0.1:9/")
    }
}

#[divan::bench(args = NAMES)]
fn render_and_sign(bencher: divan::Bencher<'_, '_>, name: &str) {
    let (event, subscription) = (event(), subscription(name));
    let bound = Dialects::built_in().get(name).expect("a built-in dialect").bind(&subscription).expect("it binds");
    let delivery: DeliveryId = delivery_id(POSITION, "default", "bench", 0);
    let input =
        RenderInput { event: &event, subscription: &subscription, delivery, attempt: 1, now: Timestamp(1_773_309_600) };
    let body_bytes = bound.render(&input).body.len();
    bencher.counter(BytesCount::new(body_bytes)).bench_local(|| bound.render(&input));
}

/// The id every attempt of a delivery carries.
#[divan::bench]
fn derive_delivery_id() -> DeliveryId {
    delivery_id(divan::black_box(POSITION), "default", "bench", 0)
}
