//! What the API itself counts: requests by route and answer, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::env::{Clock, SystemClock};
use crate::metrics::{Histogram, Kind, Page};

const DURATION_S: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Requests so far. Routes are the templates of the table, so there is a bounded number of series.
#[derive(Default)]
pub struct Traffic {
    clock: SystemClock,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: BTreeMap<(String, String, u16), u64>,
    durations: BTreeMap<String, Histogram>,
}

/// Counts what passes.
pub async fn count(State(traffic): State<Arc<Traffic>>, path: MatchedPath, request: Request, next: Next) -> Response {
    let begun = traffic.clock.monotonic();
    let method = request.method().to_string();
    let response = next.run(request).await;
    let took = traffic.clock.monotonic().saturating_sub(begun);
    let mut counts = traffic.counts.lock().unwrap_or_else(PoisonError::into_inner);
    let route = path.as_str().to_owned();
    let durations = counts.durations.entry(route.clone()).or_insert_with(|| Histogram::new(DURATION_S));
    durations.observe(took.as_secs_f64());
    *counts.requests.entry((route, method, response.status().as_u16())).or_default() += 1;
    response
}

impl Traffic {
    /// Its part of the page. `readers` are listening to the stream.
    pub fn render(&self, readers: usize) -> String {
        let mut page = Page::default();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut family = page.family("spoolhook_admin_requests_total", Kind::Counter, "Requests to the API.");
        for ((route, method, code), count) in &counts.requests {
            family.put_count(&[("route", route), ("method", method), ("code", &code.to_string())], *count);
        }
        let help = "How long the API took until an answer began.";
        let mut family = page.family("spoolhook_admin_request_duration_seconds", Kind::Histogram, help);
        for (route, durations) in &counts.durations {
            family.put_histogram(&[("route", route)], durations);
        }
        page.single("spoolhook_sse_clients", Kind::Gauge, "Readers of the live stream.", readers as f64);
        page.into_text()
    }
}
