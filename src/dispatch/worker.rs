//! Attempts from job to outcome. Blocks on purpose, on a pool thread, with a deadline.

use std::time::Duration;

use super::outcome;
use super::retry::parse_retry_after;
use super::{Done, Job, Ran};
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
/// An endpoint that is silent for so long makes the worker one that waits.
const WAITS_AFTER: Duration = Duration::from_millis(5);

/// An attempt that is on its way.
struct Flight<T> {
    job: Job<T>,
    started: Timestamp,
    began: Duration,
}

/// Makes the attempt, and those for the events behind it until one does not succeed or the time is over, over as many
/// connections at a time as the job allows. Reports at least once; the last report says that the worker is free.
pub fn run<X, T>(mut job: Job<T>, transport: &X, clock: &dyn Clock, report: impl Fn(Ran<T>))
where
    X: Transport,
    T: Target<Endpoint = X::Endpoint>,
{
    let began = clock.monotonic();
    let width = job.width.max(1) as usize;
    let mut ran = Ran::of(&job);
    let mut unsent = std::mem::take(&mut job.more);
    let (next, target) = (job.to_come(), job.target.clone());
    let mut job = Some(job);
    let (mut flights, mut pending, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let (mut goes_on, mut held, mut reported) = (true, width, began);
    // It may take long before the first has even left: others can have the rest meanwhile.
    if !unsent.is_empty() && !transport.is_ready(target.endpoint()) {
        goes_on = false;
        ran.hand_back(&mut unsent);
    }
    loop {
        let still = pending.len() + usize::from(job.is_some());
        if !goes_on || unsent.is_empty() {
            ran.freed += held - still;
            held = still;
        }
        if job.is_some() && ran.is_news() {
            ran.tell(&report);
        }
        while pending.len() < width {
            let Some(job) = job.take().or_else(|| {
                let is_quick = goes_on && (pending.is_empty() || transport.is_ready(target.endpoint()));
                if is_quick { unsent.pop_front().map(&next) } else { None }
            }) else {
                break;
            };
            let flight = Flight { job, started: clock.now(), began: clock.monotonic() };
            ran.count += 1;
            match guarded(&flight.job, || begin(&flight, transport)).unwrap_or_else(Err) {
                Ok(way) => {
                    pending.push(way);
                    flights.push(flight);
                }
                Err(evidence) => {
                    let ended = conclude(flight, evidence, clock);
                    goes_on &= ended.judgement == outcome::Judgement::Delivered;
                    ran.done.push(ended);
                }
            }
            goes_on &= clock.monotonic() < began + RUN_MAX;
        }
        if !goes_on {
            ran.hand_back(&mut unsent);
        }
        if pending.is_empty() {
            ran.freed += held;
            ran.ended = true;
            return report(ran);
        }
        // What is to be told does not wait for an endpoint that may be silent for long.
        let at_most = if ran.is_news() { Some(REPORT_AFTER) } else { (!ran.waits).then_some(WAITS_AFTER) };
        transport.await_any(&mut pending, at_most, &mut found);
        if found.is_empty() {
            // With news, the silence was a short one.
            if !ran.is_news() {
                (ran.waits, goes_on) = (true, false);
                ran.hand_back(&mut unsent);
            }
            reported = clock.monotonic();
            ran.tell(&report);
            continue;
        }
        for at in found.drain(..).rev() {
            let (flight, way) = (flights.swap_remove(at), pending.swap_remove(at));
            let ended = guarded(&flight.job, || transport.end(flight.job.target.endpoint(), way));
            let ended = conclude(flight, ended.unwrap_or_else(|evidence| evidence), clock);
            goes_on &= ended.judgement == outcome::Judgement::Delivered;
            ran.done.push(ended);
        }
        let now = clock.monotonic();
        goes_on &= now < began + RUN_MAX;
        if now >= reported + REPORT_AFTER && !pending.is_empty() {
            reported = now;
            ran.tell(&report);
        }
    }
}

fn begin<X, T>(flight: &Flight<T>, transport: &X) -> Result<X::Pending, Evidence>
where
    X: Transport,
    T: Target<Endpoint = X::Endpoint>,
{
    let Flight { job, started, .. } = flight;
    let input = RenderInput {
        event: &job.event,
        subscription: &job.subscription,
        delivery: job.delivery,
        attempt: job.number,
        now: *started,
    };
    transport.begin(job.target.endpoint(), &job.target.render(&input), job.subscription.timeout)
}

/// A panic inside counts as an attempt without an answer.
fn guarded<T, R>(job: &Job<T>, act: impl FnOnce() -> R) -> Result<R, Evidence> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).map_err(|_| panicked(job))
}

/// Nobody knows how far a panicking attempt came, so bytes may have left.
fn panicked<T>(job: &Job<T>) -> Evidence {
    tracing::error!(subscription = job.subscription.name, delivery = %job.delivery, "an attempt panicked; this is a bug");
    let message = "the attempt failed inside spoolhook; this is a bug, please report it".to_owned();
    let failure = Failure { outcome: Outcome::Unknown, message };
    Evidence { result: Err(failure), request_bytes: 1, remote: None, elapsed: Duration::ZERO }
}

fn conclude<T>(flight: Flight<T>, evidence: Evidence, clock: &dyn Clock) -> Done<T> {
    let Flight { job, started, began } = flight;
    let elapsed = clock.monotonic().saturating_sub(began);
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
