//! The state against the journal: every counter, every position and every row as the records make them.

use std::collections::HashMap;

use rangemap::RangeSet;

use super::Snapshot;
use super::differences::Differences;
use crate::model::{Seq, SubId};
use crate::store::{DeliveryKey, ExceptionStatus, LaneState, Ledger, Recount, RowMark};

/// Compares what `recount` found with the state. Where the journal lacks records only that is said: nothing follows from
/// the rest.
pub(super) fn compare(snapshot: &Snapshot, recount: Recount, differences: &mut Differences) {
    recount.damage.into_iter().for_each(|sentence| differences.add(sentence));
    if !recount.is_whole {
        return;
    }
    let (journal, state) = (&recount.ledger, &snapshot.ledger);
    spool(journal, state, differences);
    for (sub, ours) in &journal.lanes {
        match state.lanes.get(sub) {
            Some(theirs) => lane(ours, theirs, differences),
            None => differences.add(format!("{}: the journal knows it, the state does not", name(ours))),
        }
    }
    for (_, lane) in state.lanes.iter().filter(|(sub, _)| !journal.lanes.contains_key(sub)) {
        differences.add(format!("{}: the state knows it, the journal does not", name(lane)));
    }
    rows(snapshot, recount.rows, differences);
}

fn name(lane: &LaneState) -> String {
    format!("{}/{}", lane.tenant, lane.name)
}

fn spool(journal: &Ledger, state: &Ledger, differences: &mut Differences) {
    let (ours, theirs) = (journal.spool, state.spool);
    let mut expect =
        |what: &str, ours: u64, theirs: u64| differences.expect("spool, by the journal", what, ours, theirs);
    expect("lines were taken", ours.lines, theirs.lines);
    expect("events were taken", ours.events, theirs.events);
    expect("blank lines were passed", ours.blank, theirs.blank);
    expect("lines were quarantined", ours.quarantined, theirs.quarantined);
    expect("events matched nobody", ours.unmatched, theirs.unmatched);
    expect("is the number of the next event", journal.next_seq, state.next_seq);
    if journal.extents != state.extents {
        let first = journal.extents.iter().zip(state.extents.iter()).find(|(ours, theirs)| ours != theirs);
        let place = first.map_or("the ends differ".to_owned(), |(ours, theirs)| {
            format!(
                "the first that differs is {}-{}, not {}-{}",
                ours.segment, ours.start, theirs.segment, theirs.start
            )
        });
        differences.add(format!("spool: the stretches of the log are not those of the journal; {place}"));
    }
    if journal.sources != state.sources {
        differences.add("spool: the positions in tailed logs are not those of the journal");
    }
}

fn lane(journal: &LaneState, state: &LaneState, differences: &mut Differences) {
    let who = format!("{}, by the journal", name(journal));
    let mut expect = |what: &str, ours: u64, theirs: u64| differences.expect(&who, what, ours, theirs);
    let (ours, theirs) = (&journal.books, &state.books);
    expect("deliveries matched", ours.matched, theirs.matched);
    expect("deliveries were delivered", ours.delivered, theirs.delivered);
    expect("deliveries failed", ours.failed, theirs.failed);
    expect("deliveries are unknown", ours.unknown, theirs.unknown);
    expect("deliveries were cancelled", ours.cancelled, theirs.cancelled);
    expect("deliveries expired", ours.expired, theirs.expired);
    expect("deliveries were dropped", ours.dropped, theirs.dropped);
    expect("failed deliveries were forgotten", journal.forgotten.failed, state.forgotten.failed);
    expect("unknown deliveries were forgotten", journal.forgotten.unknown, state.forgotten.unknown);
    expect("deliveries are parked", journal.parked, state.parked);
    expect("attempts succeeded", journal.counters.success_count, state.counters.success_count);
    expect("attempts did not succeed", journal.counters.error_count, state.counters.error_count);
    expect("is the first event not yet judged", journal.low, state.low);
    if journal.passed != state.passed {
        let only = |one: &RangeSet<Seq>, other: &RangeSet<Seq>| {
            let ranges = one.iter().filter(|range| !other.contains(&range.start) || !other.contains(&(range.end - 1)));
            ranges.take(2).map(|range| range.start.to_string()).collect::<Vec<_>>()
        };
        let odd = [only(&journal.passed, &state.passed), only(&state.passed, &journal.passed)].concat();
        differences.add(format!("{who}: the events judged ahead of others are not these: {}", odd.join(", ")));
    }
    if journal.claimed != state.claimed {
        differences.add(format!("{who}: other at-most-once deliveries are on their way"));
    }
    if (&journal.paused, journal.removed, &journal.eras) != (&state.paused, state.removed, &state.eras) {
        differences.add(format!("{who}: it is paused, removed or filtered otherwise"));
    }
}

fn status(mark: RowMark) -> &'static str {
    match mark.status {
        ExceptionStatus::Parked => "parked",
        ExceptionStatus::Failed => "failed",
        ExceptionStatus::Unknown => "unknown",
        ExceptionStatus::Delivered => "delivered",
    }
}

fn rows(snapshot: &Snapshot, mut journal: HashMap<DeliveryKey, RowMark>, differences: &mut Differences) {
    let who = |sub: SubId| snapshot.ledger.lanes.get(&sub).map_or_else(|| format!("subscription {}", sub.0), name);
    for (key, mark) in &snapshot.rows {
        let delivery = format!("{}: its delivery of event {}", who(key.sub), key.seq);
        match journal.remove(key) {
            Some(ours) if ours == *mark => {}
            Some(ours) => differences.add(format!(
                "{delivery} is {} with other facts by the journal than by its row in the view ({})",
                status(ours),
                status(*mark)
            )),
            None => differences
                .add(format!("{delivery} has a row in the view ({}) that the journal does not know", status(*mark))),
        }
    }
    let mut missing: Vec<_> = journal.into_iter().collect();
    missing.sort_by_key(|(key, _)| *key);
    for (key, mark) in missing {
        let (who, status) = (who(key.sub), status(mark));
        differences.add(format!(
            "{who}: its delivery of event {} is {status} by the journal and has no row in the view",
            key.seq
        ));
    }
}
