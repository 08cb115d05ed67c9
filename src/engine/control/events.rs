//! Events as they lie in the log, and why each subscription did or did not take them.

use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::deliveries::status_at;
use super::internal;
use super::observer::status_after;
use crate::admin::api::{DeliveryRef, EventDetail, EventRecord, MatchReport, MatchRow};
use crate::admin::{Caller, ControlError};
use crate::engine::catchup::EraFilters;
use crate::engine::running::{Shared, lock};
use crate::ingest::parse_line;
use crate::model::{DeliveryStatus, Event, Extent, Position, SegmentId, Seq, SubId, Subscription, delivery_id};
use crate::store::{DeliveryKey, ExceptionStatus, LaneState, Record};

fn raw(bytes: &[u8]) -> Result<Box<RawValue>, ControlError> {
    let text = std::str::from_utf8(bytes).map_err(internal)?;
    RawValue::from_string(text.to_owned()).map_err(internal)
}

pub(super) fn record(shared: &Shared, event: &Event) -> Result<EventRecord, ControlError> {
    let mut takers = Vec::new();
    lock(&shared.routing).clone().router.matches(event, &mut takers);
    {
        let ledger = shared.state.ledger();
        takers.retain(|sub| ledger.lanes.get(sub).is_some_and(|lane| was_there(lane, event)));
    }
    Ok(EventRecord {
        id: event.id.to_string(),
        event_type: event.event_type.to_string(),
        tenant: event.tenant.to_string(),
        time: event.time.to_string(),
        key: event.key.as_ref().map(ToString::to_string),
        operation: event.operation.as_str().to_owned(),
        seq: event.seq,
        segment: event.position.segment.to_string(),
        offset: event.position.offset,
        matched: u32::try_from(takers.len()).unwrap_or(u32::MAX),
        data: raw(event.data())?,
        old: event.old().map(raw).transpose()?,
        delivery: None,
        lost: false,
    })
}

/// Whether the subscription took events when this one came. Its oldest filters are let go in time; then it was there.
fn was_there(lane: &LaneState, event: &Event) -> bool {
    lane.eras.first().is_some_and(|era| era.from_seq <= event.seq) || lane.created <= event.seen
}

fn read(shared: &Shared, group: &[Extent]) -> Result<Vec<Event>, ControlError> {
    shared.log.read_all(group).map_err(internal)
}

fn end_of(group: &[Extent]) -> Seq {
    group.last().map_or(0, Extent::next_seq)
}

/// Events of a lane that wait in the log, at most `limit`, oldest first.
pub(super) fn waiting(shared: &Shared, sub: SubId, limit: usize) -> Result<Vec<Event>, ControlError> {
    let (lane, tail) = {
        let ledger = shared.state.ledger();
        match ledger.lanes.get(&sub) {
            Some(lane) if lane.waiting() > 0 => (lane.clone(), ledger.next_seq),
            _ => return Ok(Vec::new()),
        }
    };
    let mut found = Vec::new();
    let mut next = lane.low;
    let mut filters = EraFilters::default();
    while next < tail && found.len() < limit && (found.len() as u64) < lane.waiting() {
        let Some(group) = shared.state.ledger().extents.group_from(next) else { break };
        for event in read(shared, &group)?.into_iter().filter(|event| event.seq >= next) {
            let takes = filters.at(sub, &lane.eras, event.seq).map_err(|doubt| internal(doubt.reason))?;
            let takes = takes.is_some_and(|filter| filter.matches(&event));
            if takes && !lane.passed.contains(&event.seq) && found.len() < limit {
                found.push(event);
            }
        }
        next = end_of(&group);
    }
    Ok(found)
}

/// Finds a kept event that the caller sees: by where it lies when the id is ours, else by looking through the log, newest first.
fn find(shared: &Shared, caller: &Caller, id: &str) -> Result<Event, ControlError> {
    let extents = shared.state.ledger().extents.clone();
    let place = id.split_once('-').and_then(|(segment, offset)| {
        Some(Position { segment: segment.parse::<SegmentId>().ok()?, offset: offset.parse().ok()? })
    });
    let groups: Box<dyn Iterator<Item = Vec<Extent>>> = match place {
        Some(at) => {
            let holds = move |extent: &Extent| (extent.start..extent.end).contains(&at.offset);
            Box::new(extents.of(at.segment).filter(holds).map(|extent| vec![extent]))
        }
        None => Box::new(extents.groups().rev()),
    };
    for group in groups {
        if let Some(event) =
            read(shared, &group)?.into_iter().rev().find(|event| event.id == id && caller.sees(&event.tenant))
        {
            return Ok(event);
        }
    }
    Err(ControlError::NotFound(format!("no event {id} in the log; see `spoolhook events list`")))
}

fn rows(shared: &Shared, event: &Event, with_deliveries: bool) -> Result<Vec<MatchRow>, ControlError> {
    let routing = lock(&shared.routing).clone();
    let mut rows = Vec::new();
    for (sub, verdict) in routing.router.explain(event) {
        let Some(subscription) = routing.subscriptions.get(&sub) else { continue };
        if subscription.tenant() != event.tenant {
            continue;
        }
        let matches = verdict.is_match();
        let matched = if with_deliveries { took(shared, sub, event)? } else { matches };
        let reason = match (matched, matches) {
            (true, false) if !subscription.active => format!("it was taken before the {}", switched_off(subscription)),
            (true, false) => "the filter of that time took it".to_owned(),
            (false, _) if !subscription.active => format!("the {}", switched_off(subscription)),
            (false, true) if was_off(shared, sub, event) => {
                "it came while the subscription was switched off".to_owned()
            }
            (false, true) => "it came before this subscription took such events".to_owned(),
            _ => verdict.to_string(),
        };
        let delivery = if with_deliveries && matched { delivery_of(shared, sub, event)? } else { None };
        rows.push(MatchRow {
            subscription_id: sub.0,
            subscription: subscription.name.clone(),
            tenant: subscription.tenant().to_owned(),
            matched,
            reason,
            delivery,
        });
    }
    Ok(rows)
}

/// Why a subscription takes nothing now, whatever its filter says.
fn switched_off(subscription: &Subscription) -> String {
    match &subscription.withheld {
        Some(reason) => format!("subscription is out of force: {reason}"),
        None => "subscription is switched off (`is_active` is false): events pass it by".to_owned(),
    }
}

/// Whether the subscription took nothing when `event` came, as far as the eras of its filter reach.
fn was_off(shared: &Shared, sub: SubId, event: &Event) -> bool {
    let ledger = shared.state.ledger();
    let eras = ledger.lanes.get(&sub).map_or(&[][..], |lane| &lane.eras);
    let era = eras.iter().rev().find(|era| era.from_seq <= event.seq);
    era.is_some_and(|era| era.filter.events.is_empty())
}

/// Whether a lane took `event` when it came. Filters of the past are kept only as long as deliveries wait under them; then
/// the history of attempts knows.
fn took(shared: &Shared, sub: SubId, event: &Event) -> Result<bool, ControlError> {
    let eras = shared.state.ledger().lanes.get(&sub).map(|lane| lane.eras.clone()).unwrap_or_default();
    if let Some(filter) = EraFilters::default().at(sub, &eras, event.seq).map_err(|doubt| internal(doubt.reason))? {
        return Ok(filter.matches(event));
    }
    let mut found =
        shared.state.view.exception(DeliveryKey { sub, seq: event.seq, replay: 0 }).map_err(internal)?.is_some();
    let history = shared.state.history(u64::MAX, |_, record| {
        found |= matches!(record, Record::Attempted { key, .. } if key.sub == sub && key.seq == event.seq);
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    history.map_err(internal)?;
    Ok(found)
}

fn delivery_of(shared: &Shared, sub: SubId, event: &Event) -> Result<Option<DeliveryRef>, ControlError> {
    let key = DeliveryKey { sub, seq: event.seq, replay: 0 };
    let row = shared.state.view.exception(key).map_err(internal)?;
    let (id, is_judged) = {
        let ledger = shared.state.ledger();
        let Some(lane) = ledger.lanes.get(&sub) else { return Ok(None) };
        let id = delivery_id(event.position, &lane.tenant, &lane.name, 0).to_string();
        (id, event.seq < lane.resume_at(ledger.next_seq) || lane.passed.contains(&event.seq))
    };
    let status = match row.map(|row| row.status) {
        Some(ExceptionStatus::Parked) => DeliveryStatus::Pending,
        Some(ExceptionStatus::Failed) => DeliveryStatus::Failed,
        Some(ExceptionStatus::Unknown) => DeliveryStatus::Unknown,
        _ if is_judged => last_status(shared, key)?,
        _ => DeliveryStatus::Pending,
    };
    Ok(Some(DeliveryRef { id, status }))
}

/// How a delivery without a row ended: delivered, unless the history knows of another end.
fn last_status(shared: &Shared, wanted: DeliveryKey) -> Result<DeliveryStatus, ControlError> {
    let mut status = DeliveryStatus::Delivered;
    let history = shared.state.history(u64::MAX, |_, record| match record {
        Record::Ended { key, end, .. } if key == wanted => {
            status = status_at(end);
            ControlFlow::Break(())
        }
        // Its row may be a moment behind the journal.
        Record::Attempted { key, verdict, .. } if key == wanted => {
            status = status_after(verdict);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    history.map_err(internal)?;
    Ok(status)
}

pub fn show(shared: &Shared, caller: &Caller, id: &str) -> Result<EventDetail, ControlError> {
    let event = find(shared, caller, id)?;
    Ok(EventDetail { subscriptions: rows(shared, &event, true)?, event: record(shared, &event)? })
}

/// Judges a line without taking it in. To a tenant's token, an event of another tenant matches nothing.
pub fn judge(shared: &Shared, caller: &Caller, line: &[u8]) -> Result<MatchReport, ControlError> {
    let nowhere = Position { segment: SegmentId(0), offset: 0 };
    let event = parse_line(line, nowhere, 0, shared.clock.now())
        .map_err(|rejection| ControlError::Invalid(format!("{}: {}", rejection.reason.as_str(), rejection.detail)))?;
    let subscriptions = if caller.sees(&event.tenant) { rows(shared, &event, false)? } else { Vec::new() };
    Ok(MatchReport { subscriptions })
}
