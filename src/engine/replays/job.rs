//! One job: what was asked, what became of each of its deliveries, and which are next. Pure.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::list::{Entry, Snapshot};
use crate::admin::Caller;
use crate::admin::api::{ReplayDirection, ReplayFilter, ReplayJob, ReplayStatus};
use crate::model::{Rate, SubId, Timestamp};
use crate::store::{DeliveryKey, End, Record, Verdict};

/// Deliveries of one subscription that a job has handed over and that have not been tried since.
pub const OUTSTANDING_MAX: usize = 64;
/// A queue gets new ones once so many of these places are free.
const ROOM_MIN: usize = 16;
/// Deliveries handed over at a time.
const BATCH_MAX: usize = 256;

/// What became of one delivery. Stored by number: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Mark {
    Waiting,
    /// It is being handed over; nothing of that is durable yet.
    Sending,
    Sent,
    /// It was tried and is tried again by schedule.
    Retrying,
    Delivered,
    Failed,
    Skipped,
    Cancelled,
    /// Sent, and cancelled afterwards.
    Withdrawn,
}

const MARKS: usize = 9;

/// What is kept of a job in its own file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Info {
    pub id: String,
    /// Of whoever made it; nobody of another tenant sees it.
    pub tenant: Option<String>,
    pub created_by: String,
    pub created_ms: i64,
    pub filter: ReplayFilter,
    pub rate: Option<String>,
    pub order: ReplayDirection,
    pub consent: bool,
    /// Number of the journal's last record when the list was made.
    pub lsn: u64,
    pub cancelled: bool,
    /// When it ended, and how often each mark was set.
    pub ended: Option<(i64, [u64; MARKS])>,
}

impl Info {
    /// Whether it exists for this caller.
    pub fn is_seen_by(&self, caller: &Caller) -> bool {
        caller.tenant.is_none() || caller.tenant == self.tenant
    }
}

/// The deliveries of one subscription, and how far they are.
#[derive(Clone, Debug)]
struct Queue {
    sub: SubId,
    next: usize,
    end: usize,
}

/// The deliveries of a job that has not ended.
pub struct Work {
    pub snapshot: Snapshot,
    pub marks: Vec<Mark>,
    /// By the key under which they were sent.
    index: HashMap<DeliveryKey, u32>,
    queues: Vec<Queue>,
    /// The queue whose turn it is.
    turn: usize,
    outstanding: HashMap<SubId, usize>,
    tokens: f64,
    filled: Option<Duration>,
    /// When this engine began to send, and how many were sent before.
    began: Option<(Duration, u64)>,
    is_changed: bool,
}

/// A job. One that has ended keeps its counts only.
pub struct Job {
    pub info: Info,
    rate: Option<Rate>,
    counts: [u64; MARKS],
    pub work: Option<Work>,
}

impl Job {
    /// A job with nothing sent yet. `rate` is what the text in `info` says.
    pub fn new(info: Info, snapshot: Snapshot, rate: Option<Rate>) -> Self {
        let marks = vec![Mark::Waiting; snapshot.entries.len()];
        Self::with_marks(info, snapshot, marks, rate)
    }

    /// A job that is taken up again.
    pub fn with_marks(info: Info, snapshot: Snapshot, marks: Vec<Mark>, rate: Option<Rate>) -> Self {
        let mut counts = [0; MARKS];
        marks.iter().for_each(|mark| counts[*mark as usize] += 1);
        let mut queues: Vec<Queue> = Vec::new();
        for (at, entry) in snapshot.entries.iter().enumerate() {
            match queues.last_mut().filter(|queue| queue.sub == entry.key.sub) {
                Some(queue) => queue.end = at + 1,
                None => queues.push(Queue { sub: entry.key.sub, next: at, end: at + 1 }),
            }
        }
        let work = Work {
            snapshot,
            marks,
            index: HashMap::new(),
            queues,
            turn: 0,
            outstanding: HashMap::new(),
            tokens: 0.0,
            filled: None,
            began: None,
            is_changed: true,
        };
        Self { info, rate, counts, work: Some(work) }
    }

    /// One that has ended.
    pub fn ended(info: Info) -> Self {
        let counts = info.ended.map_or([0; MARKS], |(_, counts)| counts);
        Self { info, rate: None, counts, work: None }
    }

    fn count(&self, mark: Mark) -> u64 {
        self.counts[mark as usize]
    }

    fn unsent(&self) -> u64 {
        self.count(Mark::Waiting) + self.count(Mark::Sending)
    }

    fn sent(&self) -> u64 {
        [Mark::Sent, Mark::Retrying, Mark::Delivered, Mark::Failed, Mark::Withdrawn]
            .map(|mark| self.count(mark))
            .iter()
            .sum()
    }

    /// Everything has its end.
    pub fn is_settled(&self) -> bool {
        self.unsent() + self.count(Mark::Sent) + self.count(Mark::Retrying) == 0
    }

    /// Whether there is something left that a cancel would keep from being sent.
    pub fn has_unsent(&self) -> bool {
        self.count(Mark::Waiting) > 0
    }

    /// Whether marks have changed since the last time this was asked.
    pub fn take_changed(&mut self) -> bool {
        self.work.as_mut().is_some_and(|work| std::mem::take(&mut work.is_changed))
    }

    /// The job once it has ended: its deliveries are forgotten.
    pub fn as_ended(&self, at: Timestamp) -> Self {
        Self::ended(Info { ended: Some((at.0, self.counts)), ..self.info.clone() })
    }

    /// As people see it; `now` by the monotonic clock.
    pub fn view(&self, now: Duration) -> ReplayJob {
        let unsent = self.unsent();
        let pace = self.work.as_ref().and_then(|work| work.began).and_then(|(since, before)| {
            let seconds = now.saturating_sub(since).as_secs_f64();
            let sent = self.sent().saturating_sub(before) as f64;
            (seconds > 0.5 && sent > 0.0).then_some(sent / seconds)
        });
        let by_rate = self.rate.map(|rate| f64::from(rate.count) / rate.per.as_secs_f64());
        let pace = match (pace, by_rate) {
            (Some(pace), Some(rate)) => Some(pace.min(rate)),
            (pace, rate) => pace.or(rate),
        };
        let is_running = !self.info.cancelled && self.info.ended.is_none();
        ReplayJob {
            id: self.info.id.clone(),
            status: match (self.info.cancelled, is_running) {
                (true, _) => ReplayStatus::Cancelled,
                (_, true) => ReplayStatus::Running,
                (_, false) => ReplayStatus::Done,
            },
            filter: self.info.filter.clone(),
            rate: self.info.rate.clone(),
            order: self.info.order,
            created_at: Timestamp(self.info.created_ms),
            created_by: self.info.created_by.clone(),
            matched: self.counts.iter().sum(),
            sent: self.sent(),
            delivered: self.count(Mark::Delivered),
            failed: self.count(Mark::Failed),
            pending: unsent + self.count(Mark::Sent) + self.count(Mark::Retrying),
            skipped: self.count(Mark::Skipped),
            cancelled: self.count(Mark::Cancelled) + self.count(Mark::Withdrawn),
            eta_s: pace.filter(|_| is_running).map(|pace| (unsent as f64 / pace).ceil() as u64),
            finished_at: self.info.ended.map(|(at, _)| Timestamp(at)),
        }
    }

    pub fn mark_of(&self, at: u32) -> Option<Mark> {
        self.work.as_ref()?.marks.get(at as usize).copied()
    }

    /// Sets a mark and keeps every count in step.
    pub fn set(&mut self, at: u32, mark: Mark) {
        let Some(work) = &mut self.work else { return };
        let sub = work.snapshot.entries[at as usize].key.sub;
        let before = std::mem::replace(&mut work.marks[at as usize], mark);
        work.is_changed = true;
        self.counts[before as usize] -= 1;
        self.counts[mark as usize] += 1;
        let is_out = |mark| matches!(mark, Mark::Sending | Mark::Sent);
        let outstanding = work.outstanding.entry(sub).or_default();
        match (is_out(before), is_out(mark)) {
            (false, true) => *outstanding += 1,
            (true, false) => *outstanding = outstanding.saturating_sub(1),
            _ => {}
        }
    }

    /// It goes, or went, under this key.
    pub fn follow(&mut self, key: DeliveryKey, at: u32) {
        if let Some(work) = &mut self.work {
            work.index.insert(key, at);
        }
    }

    /// It does not go under this key after all.
    pub fn unfollow(&mut self, key: DeliveryKey) {
        if let Some(work) = &mut self.work {
            work.index.remove(&key);
        }
    }

    /// The keys under which deliveries went that have no end yet.
    pub fn followed(&self) -> Vec<(DeliveryKey, u32)> {
        self.work.iter().flat_map(|work| &work.index).map(|(key, at)| (*key, *at)).collect()
    }

    /// Takes the next deliveries of one subscription, to be handed over now; `whole`: whatever is outstanding, and however
    /// fast. They are marked `Sending`.
    pub fn take_batch(&mut self, now: Duration, whole: bool) -> Vec<(u32, Entry)> {
        let sent = self.sent();
        let Some(work) = self.work.as_mut().filter(|_| !self.info.cancelled) else { return Vec::new() };
        work.began.get_or_insert((now, sent));
        let mut allowed = BATCH_MAX;
        if let Some(rate) = self.rate {
            let per_s = f64::from(rate.count) / rate.per.as_secs_f64();
            // The first goes at once; what was not used of more than a moment is lost, so that nothing comes in bursts.
            let gained = work.filled.replace(now).map_or(1.0, |since| now.saturating_sub(since).as_secs_f64() * per_s);
            work.tokens = (work.tokens + gained).min((per_s * 0.25).max(1.0));
            allowed = allowed.min(work.tokens as usize);
        }
        let mut batch = Vec::new();
        for _ in 0..work.queues.len() {
            let turn = work.turn;
            work.turn = (turn + 1) % work.queues.len();
            let queue = &mut work.queues[turn];
            let out = work.outstanding.get(&queue.sub).copied().unwrap_or(0);
            let room = if whole { usize::MAX } else { OUTSTANDING_MAX.saturating_sub(out) };
            if room < ROOM_MIN {
                continue;
            }
            while queue.next < queue.end && batch.len() < room.min(allowed) {
                let at = queue.next;
                queue.next += 1;
                if work.marks[at] == Mark::Waiting {
                    batch.push((at as u32, work.snapshot.entries[at]));
                }
            }
            if !batch.is_empty() {
                break;
            }
        }
        if self.rate.is_some() {
            work.tokens -= batch.len() as f64;
        }
        batch.iter().for_each(|(at, _)| self.set(*at, Mark::Sending));
        batch
    }

    /// Nothing that waits is sent any more.
    pub fn cancel(&mut self) {
        self.info.cancelled = true;
        let count = self.work.as_ref().map_or(0, |work| work.marks.len());
        for at in 0..count as u32 {
            if self.mark_of(at) == Some(Mark::Waiting) {
                self.set(at, Mark::Cancelled);
            }
        }
    }

    /// Takes note of a durable record. Returns whether it was about one of its deliveries.
    pub fn take(&mut self, record: &Record) -> bool {
        let (key, mark) = match record {
            Record::Retriggered { key, .. } | Record::Replayed { key, .. } => (key, Mark::Sent),
            Record::Attempted { key, verdict, .. } => match verdict {
                Verdict::Delivered => (key, Mark::Delivered),
                Verdict::Retry { .. } => (key, Mark::Retrying),
                Verdict::Failed | Verdict::Unknown => (key, Mark::Failed),
            },
            Record::Ended { key, end, .. } => match end {
                End::Cancelled | End::Superseded => (key, Mark::Withdrawn),
                End::Expired | End::Unknown => (key, Mark::Failed),
            },
            _ => return false,
        };
        let Some(at) = self.work.as_ref().and_then(|work| work.index.get(key).copied()) else { return false };
        let is_first = self.mark_of(at) == Some(Mark::Sending);
        // Somebody else's sending it again changes nothing; and before ours is durable, nothing is about ours.
        if is_first != (mark == Mark::Sent) {
            return false;
        }
        self.set(at, mark);
        if let Some(work) = self.work.as_mut().filter(|_| !matches!(mark, Mark::Sent | Mark::Retrying)) {
            work.index.remove(key);
        }
        true
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
