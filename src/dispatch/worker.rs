//! One attempt from job to outcome. Blocks on purpose, on a pool thread, with a deadline.

use std::time::Duration;

use super::outcome;
use super::retry::parse_retry_after;
use super::{Done, Job, Ran, RunEnd};
use crate::env::Clock;
use crate::http::{Evidence, Failure, Transport};
use crate::model::{Attempt, Exchange, Outcome, Timestamp};
use crate::wire::{RenderInput, Request};

/// What a worker needs to know of a subscription besides its settings: its dialect, ready to render, and its endpoint.
pub trait Target {
    type Endpoint;

    /// The bytes of one attempt.
    fn render(&self, input: &RenderInput<'_>) -> Request;
    fn endpoint(&self) -> &Self::Endpoint;
}

/// A worker goes on with the events behind a job for so long...
const RUN_MAX: Duration = Duration::from_millis(25);
/// ...and tells of what it did after so long: until then, a crash repeats it.
const REPORT_AFTER: Duration = Duration::from_millis(3);

/// Makes the attempt, and those for the events behind it until one does not succeed or the time is over. Reports at least
/// once; the last report says that the worker is free.
pub fn run<X, T>(mut job: Job<T>, transport: &X, clock: &dyn Clock, report: impl Fn(Ran<T>))
where
    X: Transport,
    T: Target<Endpoint = X::Endpoint>,
{
    let began = clock.monotonic();
    let mut reported = began;
    let mut unsent = std::mem::take(&mut job.more);
    let mut done = Vec::new();
    let mut count = 0;
    loop {
        let ended = attempt(job, transport, clock);
        count += 1;
        let now = clock.monotonic();
        let goes_on = ended.judgement == outcome::Judgement::Delivered && now < began + RUN_MAX;
        let next = if goes_on { unsent.pop_front().map(|event| ended.job.next(event)) } else { None };
        done.push(ended);
        let Some(next) = next else { return report(Ran { done, end: Some(RunEnd { count, unsent }) }) };
        if now >= reported + REPORT_AFTER {
            reported = now;
            report(Ran { done: std::mem::take(&mut done), end: None });
        }
        job = next;
    }
}

/// Renders, signs, sends once and says what it meant. A panic inside counts as an attempt without an answer.
pub fn attempt<X, T>(job: Job<T>, transport: &X, clock: &dyn Clock) -> Done<T>
where
    X: Transport,
    T: Target<Endpoint = X::Endpoint>,
{
    let started = clock.now();
    let began = clock.monotonic();
    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| send(&job, transport, started)));
    let evidence = sent.unwrap_or_else(|_| panicked(&job));
    let elapsed = clock.monotonic().saturating_sub(began);
    conclude(job, evidence, started, elapsed)
}

fn send<X, T>(job: &Job<T>, transport: &X, now: Timestamp) -> Evidence
where
    X: Transport,
    T: Target<Endpoint = X::Endpoint>,
{
    let input = RenderInput {
        event: &job.event,
        subscription: &job.subscription,
        delivery: job.delivery,
        attempt: job.number,
        now,
    };
    transport.send(job.target.endpoint(), &job.target.render(&input), job.subscription.timeout)
}

/// Nobody knows how far a panicking attempt came, so bytes may have left.
fn panicked<T>(job: &Job<T>) -> Evidence {
    tracing::error!(subscription = job.subscription.name, delivery = %job.delivery, "an attempt panicked; this is a bug");
    let message = "the attempt failed inside spoolhook; this is a bug, please report it".to_owned();
    let failure = Failure { outcome: Outcome::Unknown, message };
    Evidence { result: Err(failure), request_bytes: 1, remote: None, elapsed: Duration::ZERO }
}

fn conclude<T>(job: Job<T>, evidence: Evidence, started: Timestamp, elapsed: Duration) -> Done<T> {
    let judgement = outcome::judge(&evidence, job.subscription.mode);
    let outcome = outcome::outcome(&evidence);
    let retry_after = evidence.result.as_ref().ok().filter(|response| response.status >= 300).and_then(|response| {
        let header = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        header.and_then(|(_, value)| parse_retry_after(value, started.plus(elapsed)))
    });
    let exchange: Exchange = outcome::exchange(evidence);
    let attempt = Attempt {
        number: job.number,
        started,
        duration_ms: u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX),
        trigger: job.trigger,
        outcome,
        exchange,
    };
    Done { job, attempt, judgement, retry_after }
}
