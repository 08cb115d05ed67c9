//! What the records add up to, per subscription and for the spool. Pure: a record goes in, row changes come out.
//!
//! Applying the same run of records twice from the same start gives the same ledger, and never looks at rows: that is
//! what lets the view lag behind the journal and be replayed after a crash.

use std::collections::BTreeMap;

use rangemap::RangeSet;
use serde::{Deserialize, Serialize};

use super::extents::Extents;
use super::record::{Barrier, Claim, DeliveryKey, End, ExceptionRow, ExceptionStatus, Origin, Record, Verdict};
use crate::model::{Extent, Filter, Outcome, Seq, SubId, Timestamp};

/// The filter in force from `from_seq` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterEra {
    pub from_seq: Seq,
    pub filter: Filter,
}

/// The books of one subscription, in deliveries: `matched` is the sum of the others and what is pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    pub matched: u64,
    pub delivered: u64,
    pub failed: u64,
    pub unknown: u64,
    pub cancelled: u64,
    pub expired: u64,
    pub dropped: u64,
}

impl Books {
    /// Matched deliveries without a final status. After damage to the journal the sum may not add up: it stays at zero
    /// then, and the audit says so.
    pub fn pending(&self) -> u64 {
        let ended = self.delivered + self.failed + self.unknown + self.cancelled + self.expired + self.dropped;
        self.matched.saturating_sub(ended)
    }
}

/// Carbon's counters: they count attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptCounters {
    pub success_count: u64,
    pub error_count: u64,
    pub last_success_at: Option<Timestamp>,
    pub last_error_at: Option<Timestamp>,
    pub last_error: Option<Outcome>,
    /// The first failure since the last success, or since somebody resumed the subscription.
    pub failing_since: Option<Timestamp>,
}

/// How many deliveries have ended so long ago that no row tells of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    pub failed: u64,
    pub unknown: u64,
}

/// What is remembered of one subscription's lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    pub tenant: String,
    pub name: String,
    pub created: Timestamp,
    /// Not configured since then: what waits is held.
    pub removed: Option<Timestamp>,
    /// Why it is paused.
    pub paused: Option<String>,
    pub eras: Vec<FilterEra>,
    /// Every delivery that waited in the log below this has been judged.
    pub low: Seq,
    /// Events at or above `low` that are judged, or are none of this lane's.
    pub passed: RangeSet<Seq>,
    /// At-most-once deliveries that may be on their way.
    pub claimed: BTreeMap<(Seq, u32), Claim>,
    /// Pending deliveries that have a row of their own.
    pub parked: u64,
    /// Failed and unknown deliveries whose rows the history let go.
    pub forgotten: Forgotten,
    pub books: Books,
    pub counters: AttemptCounters,
}

impl LaneState {
    /// Pending deliveries that wait in the log, in no row.
    pub fn waiting(&self) -> u64 {
        self.books.pending().saturating_sub(self.parked)
    }

    /// Where reading the log for this lane begins: at `next_seq` when nothing waits.
    pub fn resume_at(&self, next_seq: Seq) -> Seq {
        if self.waiting() == 0 { next_seq } else { self.low }
    }

    fn pass(&mut self, from: Seq, seq: Seq, low: Seq) {
        self.passed.insert(from.min(seq)..seq + 1);
        self.raise_low(low);
    }

    fn raise_low(&mut self, low: Seq) {
        if low > self.low {
            self.low = low;
            self.passed.remove(0..low);
            while self.eras.len() > 1 && self.eras[1].from_seq <= low {
                self.eras.remove(0);
            }
        }
    }

    fn enter(&mut self, status: ExceptionStatus) {
        match status {
            ExceptionStatus::Parked => self.parked += 1,
            ExceptionStatus::Failed => self.books.failed += 1,
            ExceptionStatus::Unknown => self.books.unknown += 1,
            ExceptionStatus::Delivered => self.books.delivered += 1,
        }
    }

    fn leave(&mut self, status: ExceptionStatus) {
        let count = match status {
            ExceptionStatus::Parked => &mut self.parked,
            ExceptionStatus::Failed => &mut self.books.failed,
            ExceptionStatus::Unknown => &mut self.books.unknown,
            ExceptionStatus::Delivered => &mut self.books.delivered,
        };
        *count = count.saturating_sub(1);
    }
}

/// The spool's books in lines: `lines = events + blank + quarantined`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolBooks {
    pub lines: u64,
    pub events: u64,
    pub blank: u64,
    pub quarantined: u64,
    /// Events that no subscription took.
    pub unmatched: u64,
}

/// A change to the rows of single deliveries.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    Put(DeliveryKey, Box<ExceptionRow>),
    Delete(DeliveryKey),
}

/// The sum of the journal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// Number of the last record applied.
    pub lsn: u64,
    pub next_seq: Seq,
    pub next_sub: u32,
    pub spool: SpoolBooks,
    pub barrier: Option<Barrier>,
    /// When a delivery was parked last, by the clock that schedules run on. What is due was reckoned from here or before.
    pub scheduled: Timestamp,
    /// Number of the latest replay as a delivery of its own.
    pub last_replay: u32,
    pub lanes: BTreeMap<SubId, LaneState>,
    /// Kept stretches of the log, in the order they were taken.
    pub extents: Extents,
    pub sources: BTreeMap<String, Vec<u8>>,
}

impl Ledger {
    pub fn new() -> Self {
        Self { next_seq: 1, next_sub: 1, ..Self::default() }
    }

    /// The number of the subscription `name` of `tenant`, if it ever had one.
    pub fn find(&self, tenant: &str, name: &str) -> Option<SubId> {
        self.lanes.iter().find(|(_, lane)| lane.tenant == tenant && lane.name == name).map(|(sub, _)| *sub)
    }

    /// Below this every delivery that waits in the log has been judged, by every lane that is still configured or holds
    /// something.
    pub fn settled_below(&self) -> Seq {
        self.lanes.values().map(|lane| lane.resume_at(self.next_seq)).min().unwrap_or(self.next_seq)
    }

    /// Applies one record and tells which rows change.
    pub fn apply(&mut self, lsn: u64, record: &Record) -> Option<RowChange> {
        self.lsn = lsn;
        if let Record::Attempted { verdict: Verdict::Retry { at, .. }, .. }
        | Record::Retriggered { at, .. }
        | Record::Replayed { at, .. } = record
        {
            self.scheduled = self.scheduled.max(*at);
        }
        match record {
            Record::Started { barrier, .. } => {
                if let Some(barrier) = barrier {
                    let upto = self.barrier.as_ref().map_or(barrier.upto, |before| before.upto.max(barrier.upto));
                    self.barrier = Some(Barrier { upto, open: barrier.open.clone() });
                }
                None
            }
            Record::Subscribed { sub, tenant, name, filter, from_seq, matched, at } => {
                self.next_sub = self.next_sub.max(sub.0 + 1);
                let era = FilterEra { from_seq: *from_seq, filter: filter.clone() };
                let lane = self.lanes.entry(*sub).or_insert_with(|| LaneState::new(tenant, name, *from_seq, *at));
                lane.removed = None;
                lane.eras.push(era);
                lane.books.matched += matched;
                None
            }
            Record::Taken { extent, matched, unmatched } => {
                self.take(extent, matched, *unmatched);
                None
            }
            Record::SourceCursor { source, cursor } => {
                if cursor.is_empty() {
                    self.sources.remove(source);
                } else {
                    self.sources.insert(source.clone(), cursor.clone());
                }
                None
            }
            Record::Purged { segment, .. } => {
                self.extents.purge(*segment);
                self.barrier.as_mut().map(|barrier| barrier.open.remove(segment));
                None
            }
            Record::Unsubscribed { sub, at } => {
                let from_seq = self.next_seq;
                self.in_lane(*sub, |lane| {
                    lane.removed = Some(*at);
                    // Should it come back with deliveries waiting, what came meanwhile is not among them.
                    let filter = Filter { tenant: lane.tenant.clone(), events: Vec::new(), condition: None };
                    lane.eras.push(FilterEra { from_seq, filter });
                    None
                })
            }
            Record::Paused { sub, reason, .. } => self.in_lane(*sub, |lane| {
                lane.paused = Some(reason.clone());
                None
            }),
            Record::Resumed { sub, .. } => self.in_lane(*sub, |lane| {
                lane.paused = None;
                lane.counters.failing_since = None;
                None
            }),
            Record::Claimed { key, claim } => self.in_lane(key.sub, |lane| {
                lane.claimed.insert((key.seq, key.replay), claim.clone());
                None
            }),
            Record::Released { key } => self.in_lane(key.sub, |lane| {
                lane.claimed.remove(&(key.seq, key.replay));
                None
            }),
            Record::Attempted { key, origin, verdict, from, low, .. } => self.in_lane(key.sub, |lane| {
                lane.claimed.remove(&(key.seq, key.replay));
                match origin {
                    Origin::Log => lane.pass(*from, key.seq, *low),
                    Origin::Parked => {
                        lane.leave(ExceptionStatus::Parked);
                        lane.raise_low(*low);
                    }
                }
                let (status, due) = match verdict {
                    Verdict::Delivered => (ExceptionStatus::Delivered, Timestamp::default()),
                    Verdict::Retry { due, .. } => (ExceptionStatus::Parked, *due),
                    Verdict::Failed => (ExceptionStatus::Failed, Timestamp::default()),
                    Verdict::Unknown => (ExceptionStatus::Unknown, Timestamp::default()),
                };
                lane.enter(status);
                lane.count(record);
                match (status, origin) {
                    (ExceptionStatus::Delivered, Origin::Log) => None,
                    (ExceptionStatus::Delivered, Origin::Parked) => Some(RowChange::Delete(*key)),
                    _ => ExceptionRow::after(record, status, due).map(|row| RowChange::Put(*key, Box::new(row))),
                }
            }),
            Record::Ended { key, origin, facts, end, from, low, at } => self.in_lane(key.sub, |lane| {
                match origin {
                    Origin::Log => lane.pass(*from, key.seq, *low),
                    Origin::Parked => {
                        lane.leave(ExceptionStatus::Parked);
                        lane.raise_low(*low);
                    }
                }
                match end {
                    End::Cancelled | End::Superseded => lane.books.cancelled += 1,
                    End::Expired => lane.books.expired += 1,
                    End::Unknown => lane.books.unknown += 1,
                }
                match (end, origin) {
                    (End::Unknown, _) => Some(RowChange::Put(*key, Box::new(ExceptionRow::in_doubt(facts, *at)))),
                    (_, Origin::Parked) => Some(RowChange::Delete(*key)),
                    (_, Origin::Log) => None,
                }
            }),
            Record::Dropped { sub, count, .. } => self.in_lane(*sub, |lane| {
                lane.books.dropped += count;
                None
            }),
            Record::Retriggered { key, row, was, .. } => self.in_lane(key.sub, |lane| {
                lane.leave(*was);
                lane.enter(ExceptionStatus::Parked);
                Some(RowChange::Put(*key, Box::new(row.clone())))
            }),
            Record::Withdrawn { sub, .. } => {
                let next_seq = self.next_seq;
                self.in_lane(*sub, |lane| {
                    lane.books.cancelled += lane.waiting();
                    lane.raise_low(next_seq);
                    None
                })
            }
            Record::Forgotten { key, was, .. } => self.in_lane(key.sub, |lane| {
                match was {
                    ExceptionStatus::Failed => lane.forgotten.failed += 1,
                    ExceptionStatus::Unknown => lane.forgotten.unknown += 1,
                    ExceptionStatus::Parked | ExceptionStatus::Delivered => {}
                }
                Some(RowChange::Delete(*key))
            }),
            Record::Replayed { key, row, .. } => {
                self.last_replay = self.last_replay.max(key.replay);
                self.in_lane(key.sub, |lane| {
                    lane.books.matched += 1;
                    lane.enter(ExceptionStatus::Parked);
                    Some(RowChange::Put(*key, Box::new(row.clone())))
                })
            }
        }
    }

    fn in_lane(&mut self, sub: SubId, change: impl FnOnce(&mut LaneState) -> Option<RowChange>) -> Option<RowChange> {
        self.lanes.get_mut(&sub).and_then(change)
    }

    fn take(&mut self, extent: &Extent, matched: &[(SubId, u32)], unmatched: u32) {
        self.next_seq = extent.next_seq();
        self.spool.lines += extent.lines();
        self.spool.events += u64::from(extent.events);
        self.spool.blank += u64::from(extent.blank);
        self.spool.quarantined += u64::from(extent.quarantined);
        self.spool.unmatched += u64::from(unmatched);
        self.extents.push(extent);
        for (sub, count) in matched {
            let Some(lane) = self.lanes.get_mut(sub) else { continue };
            if lane.waiting() == 0 {
                lane.passed.clear();
                lane.raise_low(extent.first_seq);
            }
            lane.books.matched += u64::from(*count);
        }
    }
}

impl LaneState {
    fn new(tenant: &str, name: &str, low: Seq, created: Timestamp) -> Self {
        Self {
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            created,
            removed: None,
            paused: None,
            eras: Vec::new(),
            low,
            passed: RangeSet::new(),
            claimed: BTreeMap::new(),
            parked: 0,
            forgotten: Forgotten::default(),
            books: Books::default(),
            counters: AttemptCounters::default(),
        }
    }

    fn count(&mut self, record: &Record) {
        let Record::Attempted { attempt, .. } = record else { return };
        if attempt.outcome == Outcome::Success {
            self.counters.success_count += 1;
            self.counters.failing_since = None;
            self.counters.last_success_at = Some(attempt.started);
        } else {
            self.counters.error_count += 1;
            self.counters.failing_since.get_or_insert(attempt.started);
            self.counters.last_error_at = Some(attempt.started);
            self.counters.last_error = Some(attempt.outcome);
        }
    }
}
