//! The intake: what the sources yield is judged by the router and handed to the committer; only then does it exist.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::doubt::Doubt;
use super::lanes::{InForce, plan};
use super::messages::{Entry, LaneCommand, Reconfigure, Routing, Then, ToIntake};
use super::putaway::retain;
use super::running::lock;
use super::withdraw::{overdue, withdraw};
use crate::dispatch::Feed;
use crate::env::{Clock, SteadyTime};
use crate::ingest::{Batch, Ingest, LogCursor, LogReader, Next, Problem, Reading, SourceStatus, Tally};
use crate::model::{Extent, Seq, SubId, Timestamp};
use crate::routing::CompiledFilter;
use crate::store::{Ledger, Record, StateReader};

/// The sources are looked at this often whether or not anything woke us.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// What the intake tells those who look.
#[derive(Clone, Debug, Default)]
pub struct IntakeStatus {
    pub sources: Vec<SourceStatus>,
    pub problems: Vec<Problem>,
    /// What is short on disk, while no more is taken than can be delivered.
    pub shortage: Option<String>,
    /// The last look found nothing to read and nothing that will become readable by waiting.
    pub idle: bool,
    /// Batches taken so far.
    pub batches: u64,
    /// What this engine has read.
    pub tally: Tally,
}

/// The intake's ties to the rest of the engine.
pub struct Links<T> {
    pub clock: Arc<dyn Clock>,
    /// The time by which the archive ages: setting the clock empties it no more than it keeps it.
    pub ages: Arc<Mutex<SteadyTime>>,
    pub routing: Arc<Mutex<Routing>>,
    pub status: Arc<Mutex<IntakeStatus>>,
    pub entries: Sender<Entry<T>>,
    pub wake: Receiver<()>,
    #[expect(dead_code, reason = "keeps `wake` connected when nothing can be watched")]
    pub waker: Sender<()>,
    pub requests: Receiver<ToIntake<T>>,
    /// Those of which nothing is on its way; what the lanes decided before is on its way to the committer.
    pub at_home: Box<dyn Fn(Vec<SubId>) -> Vec<SubId> + Send>,
    /// Says that a long piece of work goes on.
    pub beat: Box<dyn Fn() + Send>,
    /// Has the disk hold room for records, when something may have been removed from it too. Whether there is enough.
    pub hold_room: Box<dyn Fn() -> bool + Send>,
    /// Held by those who read all that the books speak of: nothing is removed meanwhile.
    pub audits: Arc<RwLock<()>>,
}

/// While the disk is short, or may be soon, no more is read when so many deliveries are in hand that were not when it began,
/// or any at all when there is little room for their records...
const IN_HAND_MAX: u64 = 1024;
/// ...unless none has ended for so long: then others may be had that can.
const STILL: Duration = Duration::from_secs(1);
/// Between two looks meanwhile.
const TIGHT_LOOK: Duration = Duration::from_millis(20);

/// How deliveries come along meanwhile.
struct Progress {
    /// The fewest there were: those of endpoints that are down, or slow, are nobody's to wait for.
    least: u64,
    ended: u64,
    seen: Duration,
}

impl Progress {
    fn new() -> Self {
        Self { least: u64::MAX, ended: 0, seen: Duration::ZERO }
    }

    /// Whether to wait for what is in hand: the records of all that is read have to fit into the room that is held for them,
    /// until the first segment is done with and removed.
    fn waits(&mut self, ledger: &Ledger, in_hand_max: u64, at: Duration) -> bool {
        let books = ledger.lanes.values().map(|lane| &lane.books);
        let (matched, pending) = books.fold((0, 0), |sum, books| (sum.0 + books.matched, sum.1 + books.pending()));
        let ended = matched - pending;
        if ended != self.ended {
            (self.ended, self.seen) = (ended, at);
        }
        self.least = self.least.min(pending);
        pending - self.least > in_hand_max && at < self.seen + STILL
    }
}

/// The intake.
pub struct Intake<T> {
    ingest: Ingest,
    log: LogReader,
    state: StateReader,
    running: HashSet<SubId>,
    links: Links<T>,
    pending: Option<ToIntake<T>>,
    last_retire: Option<Duration>,
    progress: Progress,
}

/// A log's cursor as the journal keeps it.
fn encode_cursor(cursor: &LogCursor) -> Vec<u8> {
    bincode::serialize(cursor).expect("a cursor is plain data")
}

/// Reads back what [`accept`] put into the journal.
pub fn decode_cursor(bytes: &[u8]) -> Result<LogCursor, String> {
    bincode::deserialize(bytes).map_err(|error| format!("the stored position in a log does not read back: {error}"))
}

/// The records and the feed of one batch.
pub fn accept(batch: Batch, routing: &Routing) -> (Vec<Record>, Feed) {
    let mut feed = Feed::default();
    let mut matched_subs = Vec::new();
    let mut counts = BTreeMap::new();
    let mut events = batch.events.into_iter().map(Arc::new).peekable();
    let mut event_of = |extent: &Extent| events.next_if(|event| event.seq < extent.next_seq());
    let mut records = Vec::with_capacity(batch.extents.len() + batch.log_cursors.len());
    for extent in batch.extents {
        counts.clear();
        let mut unmatched = 0;
        while let Some(event) = event_of(&extent) {
            routing.router.matches(&event, &mut matched_subs);
            if matched_subs.is_empty() {
                unmatched += 1;
            } else {
                let index = u32::try_from(feed.events.len()).expect("a batch is a few thousand events");
                for sub in matched_subs.drain(..) {
                    *counts.entry(sub).or_insert(0u32) += 1;
                    feed.matches.push((index, sub));
                }
                feed.events.push(event);
            }
        }
        feed.next_seq = extent.next_seq();
        let matched = counts.iter().map(|(sub, count)| (*sub, *count)).collect();
        records.push(Record::Taken { extent, matched, unmatched });
    }
    records.extend(batch.log_cursors.iter().map(|cursor| {
        let (log, dev, ino) = cursor.key();
        let bytes = if cursor.finished { Vec::new() } else { encode_cursor(cursor) };
        Record::SourceCursor { source: format!("{log}\n{dev}:{ino}"), cursor: bytes }
    }));
    (records, feed)
}

/// Counts the kept events from `from` on that `filter` takes.
pub fn count_past(
    ledger: &Ledger,
    log: &LogReader,
    filter: &CompiledFilter,
    from: Seq,
    beat: &dyn Fn(),
) -> Result<u64, String> {
    let mut count = 0;
    let mut next = from;
    while let Some(group) = ledger.extents.group_from(next) {
        let events = log.read_all(&group).map_err(|error| error.to_string())?;
        count += events.iter().filter(|event| event.seq >= next && filter.matches(event)).count() as u64;
        next = group.last().map_or(next, Extent::next_seq);
        beat();
    }
    Ok(count)
}

impl<T> Intake<T> {
    pub fn new(ingest: Ingest, state: StateReader, running: HashSet<SubId>, links: Links<T>) -> Self {
        let log = ingest.reader();
        Self { ingest, log, state, running, links, pending: None, last_retire: None, progress: Progress::new() }
    }

    /// One round: a request, a read, retirement. Returns how long nothing is expected to happen, or `None` to stop.
    pub fn step(&mut self) -> Result<Option<Duration>, Doubt> {
        match self.pending.take().or_else(|| self.links.requests.try_recv().ok()) {
            Some(ToIntake::Stop) => return Ok(None),
            Some(ToIntake::Reconfigure(request)) => self.reconfigure(*request),
            None => {}
        }
        let now = self.links.clock.now();
        lock(&self.links.status).idle = false;
        let is_tight = self.ingest.is_tight();
        let reading = if is_tight { self.reading_now() } else { Reading::InTurns };
        if !is_tight {
            self.progress = Progress::new();
        }
        self.ingest.set_reading(reading);
        let tick = self.ingest.tick(now)?;
        let taken = tick.batches.len() as u64;
        let routing = lock(&self.links.routing).clone();
        for batch in tick.batches {
            let (records, feed) = accept(batch, &routing);
            if self.links.entries.send(Entry::new(records, Then::Feed(feed))).is_err() {
                return Ok(None);
            }
        }
        let monotonic = self.links.clock.monotonic();
        if self.last_retire.is_none_or(|last| monotonic.saturating_sub(last) >= SCAN_INTERVAL) {
            self.last_retire = Some(monotonic);
            self.retire()?;
        }
        {
            let mut status = lock(&self.links.status);
            status.shortage = self.ingest.shortage().map(str::to_owned);
            status.idle = taken == 0 && self.ingest.is_drained();
            status.batches += taken;
            status.tally = self.ingest.tally().clone();
        }
        Ok(Some(match tick.next {
            _ if reading != Reading::InTurns => TIGHT_LOOK,
            Next::Now if is_tight => TIGHT_LOOK,
            Next::Now => Duration::ZERO,
            Next::At(at) => at.since(now).clamp(Duration::from_millis(1), SCAN_INTERVAL),
        }))
    }

    /// What is read while the disk is short, or may be soon.
    fn reading_now(&mut self) -> Reading {
        let (in_hand_max, reading) = match (self.links.hold_room)() {
            true => (IN_HAND_MAX, Reading::InTurns),
            false => (0, Reading::OneByOne),
        };
        let waits = self.progress.waits(&self.state.ledger(), in_hand_max, self.links.clock.monotonic());
        if waits { Reading::Nothing } else { reading }
    }

    /// Waits for a hint, a request or the time to look again.
    pub fn wait(&mut self, at_most: Duration) {
        if at_most.is_zero() {
            return;
        }
        select! {
            recv(self.links.wake) -> _ => {}
            recv(self.links.requests) -> request => self.pending = request.ok(),
            default(at_most) => {}
        }
    }

    /// Waits until everything handed to the committer so far is durable. `false`: the engine is stopping.
    fn barrier(&self) -> bool {
        let (reached, wait) = bounded(1);
        let barrier = Entry { reply: Some(reached), ..Entry::new(Vec::new(), Then::Nothing) };
        self.links.entries.send(barrier).is_ok() && matches!(wait.recv(), Ok(Ok(())))
    }

    /// Puts finished segments away and tells those who look how far reading is.
    fn retire(&mut self) -> Result<(), Doubt> {
        if !self.barrier() {
            return Ok(());
        }
        let now = lock(&self.links.ages).at(self.links.clock.now(), self.links.clock.monotonic());
        let settled_below = self.state.ledger().settled_below();
        let overdue = (self.links.at_home)(overdue(&self.state, self.ingest.retention_age(), now));
        // The rows of what was settled have reached the view once the committer has come this far.
        if !self.barrier() {
            return Ok(());
        }
        self.ingest.retire(settled_below, now)?;
        self.retain(settled_below, overdue, now)?;
        let mut status = lock(&self.links.status);
        status.sources = self.ingest.sources();
        status.problems = self.ingest.problems();
        Ok(())
    }

    /// Removes what retention no longer keeps, unless an audit is reading it.
    fn retain(&mut self, settled_below: Seq, overdue: Vec<SubId>, now: Timestamp) -> Result<(), Doubt> {
        let audits = self.links.audits.clone();
        let Ok(_no_audit) = audits.try_write() else { return Ok(()) };
        let mut records = retain(&mut self.ingest, &self.state, settled_below, now)?;
        let (cancelled, gone) = withdraw(&self.state, overdue, now)?;
        records.extend(cancelled);
        (self.links.hold_room)();
        if !records.is_empty() {
            self.running.retain(|sub| !gone.contains(sub));
            let lanes = gone.into_iter().map(LaneCommand::Forget).collect();
            let _ = self.links.entries.send(Entry::new(records, Then::Lanes(lanes)));
        }
        Ok(())
    }

    /// Routes by a new set of subscriptions from the next event on. The ledger must show everything that was handed to the
    /// committer before, so the committer is asked to catch up first.
    fn reconfigure(&mut self, request: Reconfigure<T>) {
        if !self.barrier() {
            let _ = request.reply.send(Err("the engine is stopping".to_owned()));
            return;
        }
        let ledger = self.state.ledger().clone();
        let past = |filter: &CompiledFilter, from| count_past(&ledger, &self.log, filter, from, &*self.links.beat);
        // By the time that withdrawing goes by: a step of the wall clock must not make the wait short.
        let now = lock(&self.links.ages).at(self.links.clock.now(), self.links.clock.monotonic());
        let routing = lock(&self.links.routing).clone();
        let running = InForce { lanes: &self.running, routing: &routing };
        match plan(&ledger, &request.subscriptions, running, now, &past, &|sub| self.state.view.ordered(sub)) {
            Err(reason) => {
                let _ = request.reply.send(Err(reason));
            }
            Ok(plan) => {
                self.ingest.set_retention(request.retention.age, request.retention.size);
                self.running.extend(plan.routing.subscriptions.keys());
                *lock(&self.links.routing) = plan.routing;
                let entry = Entry { reply: Some(request.reply), ..Entry::new(plan.records, Then::Lanes(plan.lanes)) };
                let _ = self.links.entries.send(entry);
            }
        }
    }
}
