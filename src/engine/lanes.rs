//! From configured subscriptions to lanes: which records say so, how each lane begins, and who takes new events.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::messages::{LaneCommand, Routing};
use crate::dispatch::{LaneStart, Reach, interrupted};
use crate::model::{Filter, Seq, Start, SubId, Subscription, Timestamp};
use crate::routing::{CompiledFilter, Router};
use crate::store::{DeliveryKey, LaneState, Ledger, Ordered, Record, Verdict, ViewError};

/// What a set of subscriptions changes.
pub struct Plan<T> {
    pub records: Vec<Record>,
    pub lanes: Vec<LaneCommand<T>>,
    pub routing: Routing,
}

/// A switched-off subscription takes no events: the empty list of patterns matches nothing.
fn effective_filter(subscription: &Subscription) -> Filter {
    if subscription.active {
        subscription.filter.clone()
    } else {
        Filter { events: Vec::new(), ..subscription.filter.clone() }
    }
}

/// The first event that a new subscription takes.
fn first_seq(ledger: &Ledger, start: Start) -> Seq {
    let at = |seen: Timestamp| ledger.extents.iter().find(|extent| extent.seen >= seen).map(|extent| extent.first_seq);
    match start {
        Start::Now => ledger.next_seq,
        Start::Beginning => ledger.extents.first_seq().unwrap_or(ledger.next_seq),
        Start::Since(time) => at(time).unwrap_or(ledger.next_seq),
    }
}

/// What runs already.
#[derive(Clone, Copy)]
pub struct InForce<'a> {
    pub lanes: &'a HashSet<SubId>,
    pub routing: &'a Routing,
}

/// Compares what is configured with what the ledger knows. A subscription that is the very one in force, and not only an equal
/// one, has not changed and neither has its target: with thousands of them, most of a change is to leave them alone. `count_past` counts
/// the kept events from a sequence number on that a filter takes; `ordered` finds the rows of a lane that are kept in order.
pub fn plan<T>(
    ledger: &Ledger,
    wanted: &[(Arc<Subscription>, Arc<T>)],
    running: InForce<'_>,
    now: Timestamp,
    count_past: &dyn Fn(&CompiledFilter, Seq) -> Result<u64, String>,
    ordered: &dyn Fn(SubId) -> Result<Ordered, ViewError>,
) -> Result<Plan<T>, String> {
    let known: HashMap<(&str, &str), SubId> =
        ledger.lanes.iter().map(|(sub, lane)| ((lane.tenant.as_str(), lane.name.as_str()), *sub)).collect();
    let mut plan = Plan { records: Vec::new(), lanes: Vec::new(), routing: Routing::default() };
    let mut next_sub = ledger.next_sub;
    let mut configured = BTreeSet::new();
    let mut filters = HashMap::new();
    let mut subscriptions = HashMap::new();
    for (subscription, target) in wanted {
        let filter = effective_filter(subscription);
        let existing = known.get(&(subscription.tenant(), subscription.name.as_str())).copied();
        let sub = existing.unwrap_or_else(|| {
            next_sub += 1;
            SubId(next_sub - 1)
        });
        let known = running.routing.subscriptions.get(&sub);
        let is_same = known.is_some_and(|known| Arc::ptr_eq(known, subscription));
        let compiled = match running.routing.filters.get(&sub).filter(|_| is_same) {
            Some(compiled) => compiled.clone(),
            None => Arc::new(
                CompiledFilter::compile(&filter)
                    .map_err(|error| format!("subscription \"{}\": {error}", subscription.name))?,
            ),
        };
        let lane = existing.and_then(|sub| ledger.lanes.get(&sub));
        let from_seq = if lane.is_some() { ledger.next_seq } else { first_seq(ledger, subscription.start) };
        if lane.is_none_or(|lane| lane.removed.is_some() || lane.eras.last().is_none_or(|era| era.filter != filter)) {
            let past = from_seq < ledger.next_seq;
            plan.records.push(Record::Subscribed {
                sub,
                tenant: subscription.tenant().to_owned(),
                name: subscription.name.clone(),
                filter: filter.clone(),
                from_seq,
                matched: if past { count_past(&compiled, from_seq)? } else { 0 },
                at: now,
            });
        }
        if running.lanes.contains(&sub) {
            if !is_same {
                let (subscription, target) = (subscription.clone(), target.clone());
                plan.lanes.push(LaneCommand::Reconfigure { sub, subscription, target });
            }
        } else {
            let mut start = lane_start(ledger, sub, lane, from_seq, subscription, target);
            if start.parked && subscription.order_by.is_some() {
                start.ordered = ordered(sub).map_err(|error| error.to_string())?;
            }
            plan.lanes.push(LaneCommand::Add(Box::new(start)));
        }
        configured.insert(sub);
        filters.insert(sub, compiled);
        subscriptions.insert(sub, subscription.clone());
    }
    for (sub, lane) in &ledger.lanes {
        if lane.removed.is_none() && !configured.contains(sub) {
            plan.records.push(Record::Unsubscribed { sub: *sub, at: now });
            plan.lanes.push(LaneCommand::Hold(*sub));
        }
    }
    let router = Router::build(filters.iter().map(|(sub, filter)| (*sub, filter.clone())).collect());
    let (subscriptions, filters) = (Arc::new(subscriptions), Arc::new(filters));
    plan.routing = Routing { router: Arc::new(router), subscriptions, filters };
    Ok(plan)
}

fn lane_start<T>(
    ledger: &Ledger,
    sub: SubId,
    lane: Option<&LaneState>,
    from_seq: Seq,
    subscription: &Arc<Subscription>,
    target: &Arc<T>,
) -> LaneStart<T> {
    let from = lane.map_or(from_seq, |lane| lane.resume_at(ledger.next_seq));
    let mut passed = lane.map(|lane| lane.passed.clone()).unwrap_or_default();
    let claimed = lane.iter().flat_map(|lane| lane.claimed.keys().filter(|key| key.1 == 0));
    passed.extend(claimed.map(|(seq, _)| *seq..seq + 1));
    LaneStart {
        sub,
        subscription: subscription.clone(),
        target: target.clone(),
        reach: if from < ledger.next_seq { Reach::Behind(from) } else { Reach::CaughtUp },
        passed,
        parked: lane.is_some_and(|lane| lane.parked > 0),
        ordered: Vec::new(),
        paused: lane.and_then(|lane| lane.paused.clone()),
    }
}

/// Claims without an outcome, left by an engine that stopped in mid-flight, become `unknown`: they are never sent again.
pub fn settle_claims(ledger: &Ledger) -> Vec<Record> {
    let of_lane = |(sub, lane): (&SubId, &LaneState)| {
        let (sub, low) = (*sub, lane.low);
        let claims: BTreeMap<_, _> = lane.claimed.clone();
        claims.into_iter().map(move |((seq, replay), claim)| Record::Attempted {
            key: DeliveryKey { sub, seq, replay },
            origin: claim.origin,
            attempt: interrupted(&claim),
            verdict: Verdict::Unknown,
            base: claim.base,
            replay_of: claim.replay_of,
            facts: claim.facts,
            from: seq,
            low,
        })
    };
    ledger.lanes.iter().flat_map(of_lane).collect()
}
