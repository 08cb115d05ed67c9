//! Reading the log forward without a gap: what is there is handed out, and where something is gone it is said.

use crate::admin::ControlError;
use crate::engine::control::internal;
use crate::engine::running::Shared;
use crate::ingest::ReadError;
use crate::model::{Event, Extent, Seq, Timestamp};

/// What lies at a place of the log.
pub enum Found {
    /// Events from there on, numbered without a hole, and the number behind them.
    Events { events: Vec<Event>, end: Seq },
    /// What was there up to `upto` is kept no more; what follows was seen at `seen`.
    Hole { upto: Seq, seen: Option<Timestamp> },
}

/// Reads from `next` on, which lies before `tail`: at most `wanted` events, and a few hundred kilobytes in one go.
pub fn read(shared: &Shared, next: Seq, tail: Seq, wanted: usize) -> Result<Found, ControlError> {
    let mut missed = None;
    loop {
        let run = run(shared, next, tail, wanted);
        let Some(first) = run.first().copied() else { return Ok(Found::Hole { upto: tail, seen: None }) };
        if first.first_seq > next {
            return Ok(Found::Hole { upto: first.first_seq, seen: Some(first.seen) });
        }
        // A file that is gone may have been given up since its extents were looked at: then the next look says so.
        let readable: Vec<_> = match missed {
            None => run,
            Some(segment) => run.into_iter().take_while(|extent| extent.segment != segment).collect(),
        };
        if readable.is_empty() {
            let (upto, seen) = end_of_removed(shared, first, tail);
            return Ok(Found::Hole { upto, seen });
        }
        match shared.log.read_all(&readable) {
            Ok(mut events) => {
                events.retain(|event| event.seq >= next);
                let end = readable.last().map_or(tail, Extent::next_seq);
                return Ok(Found::Events { events, end });
            }
            Err(ReadError::Gone { segment }) if missed != Some(segment) => missed = Some(segment),
            Err(error) => return Err(internal(error)),
        }
    }
}

/// The extents with events from `next` on that follow each other without a hole, as many as are wanted.
fn run(shared: &Shared, next: Seq, tail: Seq, wanted: usize) -> Vec<Extent> {
    let group = shared.state.ledger().extents.group_from(next).unwrap_or_default();
    let mut run: Vec<Extent> = Vec::new();
    let mut events = 0;
    for extent in group {
        let is_wanted = extent.events > 0 && extent.next_seq() > next && extent.first_seq < tail;
        if !is_wanted {
            continue;
        }
        if events >= wanted || run.last().is_some_and(|last| last.next_seq() != extent.first_seq) {
            break;
        }
        events += usize::try_from(extent.next_seq() - next.max(extent.first_seq)).unwrap_or(usize::MAX);
        run.push(extent);
    }
    run
}

/// Where the events end whose files somebody removed, from `first` on, whose file is gone.
fn end_of_removed(shared: &Shared, first: Extent, tail: Seq) -> (Seq, Option<Timestamp>) {
    let mut upto = first.next_seq();
    while upto < tail {
        let follows = |extent: &Extent| extent.events > 0 && extent.next_seq() > upto;
        let group = shared.state.ledger().extents.group_from(upto).unwrap_or_default();
        let Some(extent) = group.into_iter().find(follows) else { return (tail, None) };
        if extent.segment != first.segment && shared.log.is_kept(extent.segment) {
            return (upto.max(extent.first_seq), Some(extent.seen));
        }
        upto = extent.next_seq();
    }
    (upto, None)
}
