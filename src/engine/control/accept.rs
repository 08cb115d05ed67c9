//! Events that come in over HTTP: judged line by line, then written as one finished file into the spool, as every other
//! producer would. Nothing else is known of them before the engine reads that file.

use std::sync::Arc;

use super::internal;
use super::once::{Next, Once};
use crate::admin::api::{Accepted, AcceptedEvent, LineFault};
use crate::admin::{AcceptRequest, Caller, ControlError, Problem, ProblemKind};
use crate::engine::receipts::{Receipts, hash, stem};
use crate::engine::running::Shared;
use crate::ingest::{ProduceError, Producer, amend, reserve_of};
use crate::model::{RejectionReason, SegmentId};

/// Faults that one answer lists at most.
const FAULTS_MAX: usize = 100;
/// Events of one request.
const EVENTS_MAX: usize = 100_000;

/// The lines as they go into the spool, and the ids of their events.
struct Batch {
    lines: Vec<Vec<u8>>,
    ids: Vec<String>,
}

fn told(kind: ProblemKind, detail: impl Into<String>) -> ControlError {
    ControlError::Told(Box::new(Problem::new(kind, detail)))
}

/// Writes the events of `request`: all of them, durably, or none.
pub fn accept(
    shared: &Shared,
    receipts: &Receipts,
    caller: &Caller,
    request: &AcceptRequest,
) -> Result<Accepted, ControlError> {
    if !shared.config().admin.accept_events {
        let detail = "this engine takes no events over HTTP: [admin] accept_events is false; write them into its spool";
        return Err(told(ProblemKind::Forbidden, detail));
    }
    let fresh = SegmentId::next(shared.clock.now(), None, fastrand::u64(..));
    let batch = judge(shared, caller, request, fresh)?;
    let Some(key) = &request.key else {
        write(shared, fresh, &batch).map_err(refusal)?;
        return Ok(answer(batch));
    };
    let tenant = caller.tenant.as_deref().unwrap_or_default();
    let key = hash(&[tenant.as_bytes(), key.as_bytes()]);
    let body = hash(&[&[u8::from(request.is_lines)], &request.body]);
    let producer = producer(shared);
    let once = Once { receipts, log: &shared.log, producer: &producer, now: shared.clock.now() };
    match once.begin(key, body, fresh).map_err(refusal)? {
        Next::Write(token) => {
            let batch = match token == fresh {
                true => batch,
                false => judge(shared, caller, request, token).inspect_err(|_| receipts.unsure(&key))?,
            };
            once.end(&key, write(shared, token, &batch)).map_err(refusal)?;
            Ok(answer(batch))
        }
        Next::Done(token) => judge(shared, caller, request, token).map(answer),
        Next::Differs => {
            let detail =
                "this Idempotency-Key was used for another body within 24 hours; use a new key for a new request";
            Err(told(ProblemKind::Validation, detail))
        }
        Next::Busy => {
            let detail = "a request with this Idempotency-Key is being carried out; repeat it in a moment";
            Err(ControlError::Conflict(detail.to_owned()))
        }
    }
}

fn answer(batch: Batch) -> Accepted {
    let accepted = batch.ids.len();
    Accepted {
        result: "success".to_owned(),
        message: format!("accepted {accepted} {}", if accepted == 1 { "event" } else { "events" }),
        accepted,
        events: batch.ids.into_iter().map(|id| AcceptedEvent { id }).collect(),
    }
}

/// Judges every line as the reader will. Events without an id get one of `token`, so that a repeated request has the same.
fn judge(shared: &Shared, caller: &Caller, request: &AcceptRequest, token: SegmentId) -> Result<Batch, ControlError> {
    let max = usize::try_from(shared.config().spool.max_line).unwrap_or(usize::MAX);
    let one: Vec<u8>;
    let lines: Vec<(usize, &[u8])> = if request.is_lines {
        let numbered =
            request.body.split(|byte| *byte == b'\n').enumerate().map(|(at, line)| (at + 1, line.trim_ascii()));
        numbered.filter(|(_, line)| !line.is_empty()).take(EVENTS_MAX + 1).collect()
    } else {
        // Line ends stand only between tokens, where a space means the same; in a string they are a fault that stays one.
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let in_string = memchr::memchr2(b'\n', b'\r', &request.body).is_some()
            && serde_json::from_slice::<serde::de::IgnoredAny>(&request.body).is_err();
        let unbroken = |byte: &u8| if is_break(byte) && !in_string { b' ' } else { *byte };
        one = request.body.trim_ascii().iter().map(unbroken).collect();
        vec![(1, one.as_slice())]
    };
    let mut batch = Batch { lines: Vec::new(), ids: Vec::new() };
    let mut faults = Vec::new();
    let count = lines.len();
    if count > EVENTS_MAX {
        let detail = format!("a request may hold {EVENTS_MAX} events; send the rest in another");
        return Err(told(ProblemKind::TooLarge, detail));
    }
    for (at, line) in lines {
        if faults.len() == FAULTS_MAX {
            break;
        }
        let id = if count == 1 { format!("evt_{token}") } else { format!("evt_{token}-{at}") };
        let amended = match amend(line, &id, caller.tenant.as_deref()) {
            Ok(amended) => amended,
            Err(rejection) => {
                let reason = rejection.reason.as_str().to_owned();
                faults.push(LineFault { line: at, reason, detail: rejection.detail });
                continue;
            }
        };
        if let Some(named) = amended.named_tenant.as_deref().filter(|named| !caller.sees(named)) {
            let detail = format!("line {at} is an event of the tenant \"{named}\", which this token may not write for");
            return Err(told(ProblemKind::Forbidden, detail));
        }
        if amended.line.len() > max {
            let detail =
                format!("the event has {} bytes, the spool takes {max} ([spool] max_line)", amended.line.len());
            if !request.is_lines {
                return Err(told(ProblemKind::TooLarge, detail));
            }
            faults.push(LineFault { line: at, reason: RejectionReason::TooLong.as_str().to_owned(), detail });
            continue;
        }
        batch.lines.push(amended.line);
        batch.ids.push(amended.id);
    }
    if !faults.is_empty() {
        return Err(refuse(&faults));
    }
    if batch.lines.is_empty() {
        return Err(told(ProblemKind::Validation, "the body holds no event; send one JSON object, or one per line"));
    }
    Ok(batch)
}

fn refuse(faults: &[LineFault]) -> ControlError {
    let first = faults
        .first()
        .map_or(String::new(), |fault| format!("line {}: {}: {}", fault.line, fault.reason, fault.detail));
    let more =
        if faults.len() > 1 { format!(" (and {} more lines at least)", faults.len() - 1) } else { String::new() };
    let shown: Vec<_> = faults.iter().take(FAULTS_MAX).map(|fault| serde_json::json!(fault)).collect();
    let detail = format!("nothing was written: {first}{more}");
    ControlError::Told(Box::new(Problem::new(ProblemKind::Validation, detail).with("errors", shown.into())))
}

fn producer(shared: &Shared) -> Producer {
    let config = shared.config();
    let max_line = usize::try_from(config.spool.max_line).unwrap_or(usize::MAX);
    Producer::new(Arc::clone(&shared.state.files), &config.spool.dir, max_line)
}

/// Puts the lines into the spool as one file, durably.
fn write(shared: &Shared, token: SegmentId, batch: &Batch) -> Result<(), ProduceError> {
    let config = shared.config();
    let (files, spool) = (&shared.state.files, &config.spool.dir);
    let producer = producer(shared);
    producer.heed_backpressure()?;
    let bytes: u64 = batch.lines.iter().map(|line| line.len() as u64 + 1).sum();
    // The sign comes a moment after the reserve is touched.
    if let Ok(space) = files.space(spool)
        && space.free_bytes < reserve_of(config.state.reserve, space).saturating_add(bytes)
    {
        return Err(ProduceError::Backpressure { path: spool.join("BACKPRESSURE") });
    }
    let lines: Vec<&[u8]> = batch.lines.iter().map(Vec::as_slice).collect();
    producer.drop_file(&stem(token), &lines).map(drop)
}

fn refusal(error: ProduceError) -> ControlError {
    let kind = match &error {
        ProduceError::Backpressure { .. } => ProblemKind::Backpressure,
        error if error.is_full() => ProblemKind::NoSpace,
        _ => return internal(error),
    };
    told(kind, error.to_string())
}
