//! The poll: events in log order, page by page, without a gap and without a repeat, while segments come and go.
//!
//! A cursor is a number in the log. Numbers are dense, so a number that is not kept any more was removed: the poll stops in
//! front of it, and the next request is told what is lost. Only what is durable is shown.

mod cursor;
mod fate;
mod missed;
mod past;
mod stretch;

use std::ops::Range;

use self::cursor::{Cursor, CursorError};
use self::fate::Fates;
use self::stretch::Found;
use super::{events, subscriptions};
use crate::admin::api::{EventPage, EventRecord};
use crate::admin::{Caller, ControlError, LostEvents, PollRequest, SubKey};
use crate::engine::running::Shared;
use crate::model::{Event, Seq, SubId, Timestamp};
use crate::routing::Pattern;

/// Payload bytes on one page; a page holds one event at least.
const PAGE_BYTES: usize = 4 << 20;
/// Events examined for one page at most, so that a rare type does not keep a thread busy: the page is short then.
const EXAMINED_MAX: usize = 65_536;
/// The same in bytes.
const EXAMINED_BYTES_MAX: usize = 32 << 20;

/// What a poll wants to see.
struct Sieve {
    tenant: Option<String>,
    sees_all: bool,
    pattern: Option<Pattern>,
    lane_tenant: Option<String>,
}

impl Sieve {
    fn takes(&self, event: &Event) -> bool {
        self.tenant.as_deref().is_none_or(|tenant| event.tenant == tenant) && self.takes_type(&event.event_type)
    }

    fn takes_type(&self, event_type: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(event_type))
    }

    /// Whether it may let some pass.
    fn narrows(&self) -> bool {
        self.tenant.is_some() || self.pattern.is_some()
    }

    fn tenant_of_lane(&self) -> &str {
        self.lane_tenant.as_deref().unwrap_or_default()
    }
}

/// Answers one poll.
pub fn poll(shared: &Shared, caller: &Caller, request: &PollRequest) -> Result<EventPage, ControlError> {
    let limit = usize::from(request.limit.max(1));
    let sub = request.subscription.as_ref().map(|key| subscription(shared, caller, key)).transpose()?;
    let pattern = request.event_type.as_deref().map(Pattern::parse).transpose().map_err(ControlError::Malformed)?;
    let is_foreign = request.tenant.as_deref().is_some_and(|tenant| !caller.sees(tenant));
    let sieve = Sieve {
        // A tenant that the caller does not see has no events, like one that does not exist.
        tenant: if is_foreign { Some(String::new()) } else { request.tenant.clone().or_else(|| caller.tenant.clone()) },
        sees_all: caller.tenant.is_none(),
        pattern,
        lane_tenant: sub.as_ref().map(|(_, tenant)| tenant.clone()),
    };
    let fates = sub.map(|(sub, _)| Fates::new(shared, sub)).transpose()?;
    let (oldest, tail) = {
        let ledger = shared.state.ledger();
        (ledger.extents.first_seq().unwrap_or(ledger.next_seq), ledger.next_seq)
    };
    let given = match request.after.as_deref() {
        None => None,
        Some("latest") => Some(Cursor::at(tail)),
        Some(text) => Some(read_cursor(shared, text, tail, fates.as_ref().map(|fates| fates.sub))?),
    };
    match fates {
        Some(fates) if request.only_undelivered => {
            let lane_is_hidden = sieve.tenant.as_deref().is_some_and(|tenant| tenant != sieve.tenant_of_lane());
            // Who begins knows of no loss.
            let begin = || Cursor { told: Seq::MAX, ..Cursor::at(1) };
            let cursor = given.unwrap_or_else(begin);
            if lane_is_hidden {
                let next_cursor = cursor.write(shared.state.born);
                return Ok(EventPage { data: Vec::new(), next_cursor, has_more: false });
            }
            missed::page(shared, &sieve, fates, &cursor, limit)
        }
        fates => in_order(shared, &sieve, fates, given.map(|cursor| cursor.next), oldest, limit),
    }
}

/// The subscription behind a key, as far as the caller sees any.
fn subscription(shared: &Shared, caller: &Caller, key: &SubKey) -> Result<(SubId, String), ControlError> {
    let own = match (key, &caller.tenant) {
        (SubKey::Name { tenant: None, name }, Some(own)) => {
            SubKey::Name { tenant: Some(own.clone()), name: name.clone() }
        }
        _ => key.clone(),
    };
    let hidden = || ControlError::NotFound(format!("no subscription {key}; see `spoolhook subs list`"));
    let (sub, found) = subscriptions::find(shared, caller, &own).map_err(|error| match error {
        ControlError::NotFound(_) => hidden(),
        other => other,
    })?;
    let tenant = found.tenant().to_owned();
    if caller.sees(&tenant) { Ok((sub, tenant)) } else { Err(hidden()) }
}

fn read_cursor(shared: &Shared, text: &str, tail: Seq, sub: Option<SubId>) -> Result<Cursor, ControlError> {
    let fault = |why: &str| {
        let start = "start anew: leave `after` out for the oldest event kept, or say after=latest";
        Err(ControlError::Malformed(format!("after={text}: {why}; {start}")))
    };
    match Cursor::read(text, shared.state.born) {
        Err(CursorError::Damaged) => fault("this is no cursor, or a damaged one"),
        Err(CursorError::Foreign) => {
            fault("this cursor is of another log: of another engine's, or of one whose state was made anew since")
        }
        Ok(cursor) if cursor.next > tail => {
            fault("this cursor is ahead of the log: the state was put back to an older copy")
        }
        Ok(cursor) if !cursor.open.is_empty() && sub.is_some_and(|sub| sub != cursor.sub) => {
            fault("this cursor is of the undelivered events of another subscription")
        }
        Ok(cursor) => Ok(cursor),
    }
}

/// Why events of `range` are not shown. `seen`: when the one behind them was.
fn lost(shared: &Shared, sieve: &Sieve, range: Range<Seq>, go_on: &Cursor, seen: Option<Timestamp>) -> ControlError {
    ControlError::CursorExpired(Box::new(LostEvents {
        oldest_cursor: go_on.write(shared.state.born),
        lost_before: seen,
        range: sieve.sees_all.then_some((range.start, range.end - 1)),
    }))
}

/// Every event that the sieve takes, from `from` on, or from the oldest one kept.
fn in_order(
    shared: &Shared,
    sieve: &Sieve,
    mut fates: Option<Fates<'_>>,
    from: Option<Seq>,
    oldest: Seq,
    limit: usize,
) -> Result<EventPage, ControlError> {
    // What came since the lane was looked at is for the next page.
    let tail = fates.as_ref().map_or_else(|| shared.state.ledger().next_seq, |fates| fates.tail);
    let mut next = from.unwrap_or(oldest).min(tail);
    let mut data: Vec<EventRecord> = Vec::new();
    let (mut bytes, mut examined, mut examined_bytes) = (0, 0, 0);
    let is_all = fates.is_none() && !sieve.narrows();
    'pages: while next < tail && examined < EXAMINED_MAX && examined_bytes < EXAMINED_BYTES_MAX {
        let wanted = if is_all { limit - data.len() } else { usize::MAX };
        let (found, end) = match stretch::read(shared, next, tail, wanted)? {
            Found::Events { events, end } => (events, end),
            // Whoever asked for the oldest event wants the oldest one now.
            Found::Hole { upto, .. } if from.is_none() && data.is_empty() => {
                next = upto;
                continue;
            }
            Found::Hole { upto, seen } if data.is_empty() && Some(next) == from => {
                return Err(lost(shared, sieve, next..upto, &Cursor::at(upto), seen));
            }
            // The page ends in front of it, and whoever goes on is told.
            Found::Hole { .. } => break,
        };
        let rows = match (&mut fates, found.first(), found.last()) {
            (Some(fates), Some(first), Some(last)) => {
                fates.look_back(first.seq, true)?;
                fates.rows(first.seq, last.seq)?
            }
            _ => Default::default(),
        };
        for event in &found {
            examined += 1;
            examined_bytes += event.line.len();
            let takes = sieve.takes(event) && fates.as_mut().map_or(Ok(true), |fates| fates.took(event))?;
            if takes {
                if data.len() >= limit || (!data.is_empty() && bytes + event.line.len() > PAGE_BYTES) {
                    next = event.seq;
                    break 'pages;
                }
                bytes += event.line.len();
                let fate = |fates: &Fates<'_>| {
                    let rows = rows.get(&event.seq).map_or(&[][..], Vec::as_slice);
                    fates.of(event.seq, rows, fates.original(event)).delivery()
                };
                data.push(EventRecord { delivery: fates.as_ref().map(fate), ..events::record(shared, event)? });
            }
            next = event.seq + 1;
        }
        next = next.max(end);
        if data.len() >= limit {
            break;
        }
    }
    let next_cursor = Cursor::at(next).write(shared.state.born);
    Ok(EventPage { data, next_cursor, has_more: next < tail })
}
