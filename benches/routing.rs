//! What it costs to find an event's subscriptions among 1, 100 and 10,000, with and without a condition.

use std::sync::Arc;

use spoolhook::model::{Event, Filter, Operation, Position, SegmentId, SubId, Timestamp};
use spoolhook::routing::{CompiledFilter, Router};

const COUNTS: [u32; 3] = [1, 100, 10_000];

fn main() {
    divan::main();
}

fn event(event_type: &str) -> Event {
    let head = format!(r#"{{"type":"{event_type}","data":"#);
    let data = r#"{"id":"SO-1","status":"shipped","total":1500,"currency":"EUR","customer":{"name":"Ada","country":"DE"},
        "items":[{"sku":"a","qty":2,"price":10.5},{"sku":"b","qty":1,"price":99}],"tags":["x","y"],"note":null}"#;
    let line = format!("{head}{data}}}");
    Event {
        seq: 1,
        position: Position { segment: SegmentId(1), offset: 0 },
        seen: Timestamp(0),
        line: Arc::from(line.as_bytes()),
        event_type: event_type.into(),
        tenant: "default".into(),
        id: "e".into(),
        time: "2026-03-12T10:00:00Z".into(),
        key: None,
        operation: Operation::Update,
        trigger: "updated".into(),
        traceparent: None,
        data: head.len()..head.len() + data.len(),
        old: None,
    }
}

fn router(count: u32, pattern: impl Fn(u32) -> String, condition: Option<&str>) -> Router {
    let compiled = |events: Vec<String>, condition: Option<&str>| {
        let filter = Filter { tenant: "default".to_owned(), events, condition: condition.map(str::to_owned) };
        Arc::new(CompiledFilter::compile(&filter).expect("a good filter"))
    };
    // Only the subscription that matches needs its own condition; the others are never asked.
    Router::build((0..count).map(|n| (SubId(n), compiled(vec![pattern(n)], condition.filter(|_| n == 0)))).collect())
}

fn run(bencher: divan::Bencher<'_, '_>, router: &Router) {
    let event = event("entity0.updated");
    let mut matched = Vec::new();
    bencher.bench_local(|| {
        router.matches(&event, &mut matched);
        assert_eq!(matched.len(), 1);
    });
}

#[divan::bench(args = COUNTS)]
fn exact(bencher: divan::Bencher<'_, '_>, count: u32) {
    run(bencher, &router(count, |n| format!("entity{n}.updated"), None));
}

#[divan::bench(args = COUNTS)]
fn wildcard(bencher: divan::Bencher<'_, '_>, count: u32) {
    run(bencher, &router(count, |n| format!("entity{n}.*"), None));
}

#[divan::bench(args = COUNTS)]
fn deep_wildcard(bencher: divan::Bencher<'_, '_>, count: u32) {
    run(bencher, &router(count, |n| format!("**.entity{n}.**"), None));
}

#[divan::bench(args = COUNTS)]
fn exact_with_condition(bencher: divan::Bencher<'_, '_>, count: u32) {
    let condition = "data.total > 1000.0 && data.status == 'shipped'";
    run(bencher, &router(count, |n| format!("entity{n}.updated"), Some(condition)));
}

#[divan::bench]
fn a_hundred_conditions_on_one_event(bencher: divan::Bencher<'_, '_>) {
    let filter = Filter {
        tenant: "default".to_owned(),
        events: vec!["**".to_owned()],
        condition: Some("data.total > 1000.0 && data.status == 'shipped'".to_owned()),
    };
    let filter = Arc::new(CompiledFilter::compile(&filter).expect("a good filter"));
    let router = Router::build((0..100).map(|n| (SubId(n), Arc::clone(&filter))).collect());
    let event = event("entity0.updated");
    let mut matched = Vec::new();
    bencher.bench_local(|| {
        router.matches(&event, &mut matched);
        assert_eq!(matched.len(), 100);
    });
}
