//! `only=undelivered`: what a subscription's endpoint did not get, in log order. Found by the rows of failed and unknown
//! deliveries, so a few misses among many delivered events cost little.
//!
//! A cursor never goes past a delivery whose end is open without remembering it: when it has failed in the end, the next page
//! begins with it. What a cursor cannot remember, it waits for.

use std::collections::BTreeMap;
use std::iter::Peekable;

use serde_json::value::RawValue;

use super::cursor::{Cursor, OPEN_MAX};
use super::fate::{Fate, Fates, Rows};
use super::stretch::{self, Found};
use super::{PAGE_BYTES, Sieve, lost};
use crate::admin::ControlError;
use crate::admin::api::{EventPage, EventRecord};
use crate::engine::control::{events, internal};
use crate::engine::running::Shared;
use crate::ingest::ReadError;
use crate::model::{Operation, Seq};
use crate::store::{DeliveryFacts, DeliveryKey, ExceptionRow, ViewError};

/// A page of misses that is being filled.
struct Filling<'a> {
    shared: &'a Shared,
    sieve: &'a Sieve,
    data: Vec<EventRecord>,
    bytes: usize,
    limit: usize,
}

/// What became of trying to put one more on the page.
enum Put {
    Done,
    Full,
    /// Nothing is known of the event but that it was missed.
    Forgotten,
}

/// The misses behind `cursor`.
pub fn page(
    shared: &Shared,
    sieve: &Sieve,
    mut fates: Fates<'_>,
    cursor: &Cursor,
    limit: usize,
) -> Result<EventPage, ControlError> {
    let tail = shared.state.ledger().next_seq;
    let upto = fates.judged_below.max(cursor.next);
    let first = cursor.open.iter().copied().min().unwrap_or(cursor.next).min(cursor.next);
    if first < upto {
        fates.look_back(first, false)?;
    }
    // What the journal reaches back to: what was cancelled, or forgotten, before that nobody knows.
    let begins = fates.past().and_then(|past| past.begins).unwrap_or(0);
    if begins > cursor.next.max(cursor.told) {
        let go_on = Cursor { told: begins, ..cursor.clone() };
        return Err(lost(shared, sieve, cursor.next..begins, &go_on, None));
    }
    let told = if cursor.told == Seq::MAX { begins } else { cursor.told };
    let mut filling = Filling { shared, sieve, data: Vec::new(), bytes: 0, limit };
    let mut after = Cursor { next: upto, told, sub: fates.sub, open: Vec::new() };
    let mut has_more = false;
    for (at, seq) in cursor.open.iter().enumerate() {
        let rows = fates.rows(*seq, *seq)?.remove(seq).unwrap_or_default();
        match fates.of(*seq, &rows, [0; 16]) {
            Fate::Pending(_) => after.open.push(*seq),
            fate => match filling.put(*seq, &fate)? {
                Put::Done => {}
                Put::Full => {
                    after.open.extend(&cursor.open[at..]);
                    after.next = cursor.next;
                    has_more = true;
                    break;
                }
                Put::Forgotten => tracing::debug!(seq, "a missed event is no longer known"),
            },
        }
    }
    let mut misses = Misses::new(shared, &fates, cursor.next, upto);
    while !has_more {
        let Some((seq, rows)) = misses.next()? else { break };
        let fate = fates.of(seq, &rows, [0; 16]);
        let stop = match fate {
            Fate::Pending(_) if after.open.len() >= OPEN_MAX => true,
            Fate::Pending(_) => {
                after.open.push(seq);
                false
            }
            fate => match filling.put(seq, &fate)? {
                Put::Done => false,
                Put::Full => {
                    has_more = true;
                    true
                }
                Put::Forgotten if filling.data.is_empty() => {
                    let go_on = Cursor { next: seq + 1, ..after };
                    return Err(lost(shared, sieve, seq..seq + 1, &go_on, None));
                }
                Put::Forgotten => {
                    has_more = true;
                    true
                }
            },
        };
        if stop {
            after.next = seq;
            break;
        }
    }
    after.next = after.next.min(tail);
    Ok(EventPage { data: filling.data, next_cursor: after.write(shared.state.born), has_more })
}

impl Filling<'_> {
    fn put(&mut self, seq: Seq, fate: &Fate) -> Result<Put, ControlError> {
        let Fate::Missed(_, _, facts) = fate else { return Ok(Put::Done) };
        if self.data.len() >= self.limit || self.bytes > PAGE_BYTES {
            let is_wanted = facts.as_ref().is_none_or(|facts| self.sieve.takes_type(&facts.event_type));
            return Ok(if is_wanted { Put::Full } else { Put::Done });
        }
        let record = match facts {
            Some(facts) if !self.sieve.takes_type(&facts.event_type) => return Ok(Put::Done),
            Some(facts) => self.by_facts(seq, facts)?,
            None => match self.by_number(seq)? {
                Some(record) if !self.sieve.takes_type(&record.event_type) => return Ok(Put::Done),
                Some(record) => record,
                None => return Ok(Put::Forgotten),
            },
        };
        self.bytes += record.data.get().len() + record.old.as_ref().map_or(0, |old| old.get().len());
        self.data.push(EventRecord { delivery: Some(fate.delivery()), ..record });
        Ok(Put::Done)
    }

    /// The line is kept for failed and unknown deliveries, also when its file is not.
    fn by_facts(&self, seq: Seq, facts: &DeliveryFacts) -> Result<EventRecord, ControlError> {
        match self.shared.log.event_at(facts.position, seq, facts.seen) {
            Ok(Some(event)) => events::record(self.shared, &event),
            Err(error @ ReadError::Io { .. }) => Err(internal(error)),
            Ok(None) | Err(_) => Ok(EventRecord {
                id: facts.event_id.to_string(),
                event_type: facts.event_type.to_string(),
                tenant: self.sieve.tenant_of_lane().to_owned(),
                time: facts.seen.to_string(),
                key: None,
                operation: Operation::of_verb(facts.event_type.rsplit('.').next().unwrap_or_default())
                    .as_str()
                    .to_owned(),
                seq,
                segment: facts.position.segment.to_string(),
                offset: facts.position.offset,
                matched: 0,
                data: RawValue::NULL.to_owned(),
                old: None,
                delivery: None,
                lost: true,
            }),
        }
    }

    fn by_number(&self, seq: Seq) -> Result<Option<EventRecord>, ControlError> {
        match stretch::read(self.shared, seq, seq + 1, 1)? {
            Found::Events { events, .. } => events
                .first()
                .filter(|event| event.seq == seq)
                .map(|event| events::record(self.shared, event))
                .transpose(),
            Found::Hole { .. } => Ok(None),
        }
    }
}

type RowItem = Result<(DeliveryKey, ExceptionRow), ViewError>;

/// Events with a row, and those of which the journal knows an end without one, in order.
struct Misses {
    rows: Peekable<Box<dyn Iterator<Item = RowItem>>>,
    ended: BTreeMap<Seq, ()>,
    upto: Seq,
}

impl Misses {
    fn new(shared: &Shared, fates: &Fates<'_>, from: Seq, upto: Seq) -> Self {
        let rows: Box<dyn Iterator<Item = RowItem>> = Box::new(shared.state.view.exceptions_from(fates.sub, from));
        let ended =
            fates.past().map(|past| past.ended.range(from..upto.max(from)).map(|(seq, _)| (*seq, ())).collect());
        Self { rows: rows.peekable(), ended: ended.unwrap_or_default(), upto }
    }

    fn next(&mut self) -> Result<Option<(Seq, Rows)>, ControlError> {
        let row_seq = match self.rows.peek() {
            Some(Ok((key, _))) if key.seq < self.upto => Some(key.seq),
            Some(Err(error)) => return Err(internal(error)),
            _ => None,
        };
        let ended_seq = self.ended.first_key_value().map(|(seq, ())| *seq);
        let Some(seq) = row_seq.into_iter().chain(ended_seq).min() else { return Ok(None) };
        self.ended.remove(&seq);
        let mut rows = Rows::new();
        while let Some(Ok((key, row))) = self.rows.next_if(|item| item.as_ref().is_ok_and(|(key, _)| key.seq == seq)) {
            rows.push((key.replay, row));
        }
        Ok(Some((seq, rows)))
    }
}
