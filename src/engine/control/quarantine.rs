//! Lines that are not events: look, try again, give up.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::internal;
use crate::admin::api::{Page, QuarantineAnswer, QuarantineDetail, QuarantineEntry};
use crate::admin::{ControlError, PageRequest};
use crate::engine::running::Shared;
use crate::ingest::{Quarantine, QuarantineError, QuarantineState};

/// Bytes of a line shown to people.
const CONTENT_BYTES: usize = 64 << 10;

fn quarantine(shared: &Shared) -> Quarantine {
    Quarantine::new(Arc::clone(&shared.state.files), &shared.config().spool.dir)
}

fn refusal(error: QuarantineError) -> ControlError {
    let message = error.to_string();
    match error {
        QuarantineError::NotFound { .. } => ControlError::NotFound(message),
        QuarantineError::Decided { .. } => ControlError::Conflict(message),
        QuarantineError::NotSent { .. } => ControlError::Invalid(message),
        QuarantineError::Io { .. } => internal(message),
    }
}

fn entry(found: &crate::ingest::QuarantineEntry) -> QuarantineEntry {
    QuarantineEntry {
        id: found.id.clone(),
        at: found.at,
        source: found.source.clone(),
        segment: found.segment.to_string(),
        offset: found.offset,
        length: found.len,
        reason: found.reason.clone(),
        detail: found.detail.clone(),
    }
}

/// What is still held, newest first. Cursors are the number of entries to pass over.
pub fn list(shared: &Shared, page: &PageRequest) -> Result<Page<QuarantineEntry>, ControlError> {
    let skip: usize = match page.cursor.as_deref() {
        None => 0,
        Some(text) => {
            text.parse().map_err(|_| ControlError::Invalid(format!("\"{text}\" is no cursor of this list")))?
        }
    };
    let mut held = quarantine(shared).list().map_err(refusal)?;
    held.retain(|found| found.state == QuarantineState::Held);
    let limit = usize::from(page.limit);
    let data: Vec<_> = held.iter().rev().skip(skip).take(limit).map(entry).collect();
    let end = skip + data.len();
    let has_more = end < held.len();
    Ok(Page { data, next_cursor: has_more.then(|| end.to_string()), has_more })
}

pub fn show(shared: &Shared, id: &str) -> Result<QuarantineDetail, ControlError> {
    let (found, mut raw) = quarantine(shared).show(id).map_err(refusal)?;
    let truncated = raw.len() > CONTENT_BYTES;
    raw.truncate(CONTENT_BYTES);
    Ok(QuarantineDetail {
        entry: entry(&found),
        content: String::from_utf8_lossy(&raw).into_owned(),
        content_base64: STANDARD.encode(&raw),
        truncated,
    })
}

fn answer(id: &str, message: String) -> QuarantineAnswer {
    QuarantineAnswer { result: "success".to_owned(), message, id: id.to_owned(), event_id: None }
}

/// Writes the line into the spool again, if it is an event by now.
pub fn retry(shared: &Shared, id: &str) -> Result<QuarantineAnswer, ControlError> {
    let max_line = usize::try_from(shared.config().spool.max_line).unwrap_or(usize::MAX);
    let path = quarantine(shared).retry(id, None, max_line, shared.clock.now()).map_err(refusal)?;
    Ok(answer(id, format!("written into the spool again as {}", path.display())))
}

/// Gives the line up.
pub fn discard(shared: &Shared, id: &str) -> Result<QuarantineAnswer, ControlError> {
    quarantine(shared).drop_line(id, shared.clock.now()).map_err(refusal)?;
    Ok(answer(id, "dropped; its record stays in the quarantine's files".to_owned()))
}
