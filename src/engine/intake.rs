//! The intake: what the sources yield is judged by the router and handed to the committer; only then does it exist.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::lanes::plan;
use super::messages::{Doubt, Entry, Reconfigure, Routing, Then, ToIntake};
use crate::dispatch::Feed;
use crate::env::Clock;
use crate::ingest::{Batch, Ingest, LogReader, Next, Problem, SourceStatus};
use crate::model::{Seq, SubId};
use crate::routing::CompiledFilter;
use crate::store::{Ledger, Record, StateReader};

/// The sources are looked at this often whether or not anything woke us.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// What the intake tells those who look.
#[derive(Clone, Debug, Default)]
pub struct IntakeStatus {
    pub sources: Vec<SourceStatus>,
    pub problems: Vec<Problem>,
    /// The last look found nothing to read and nothing that will become readable by waiting.
    pub idle: bool,
    /// Batches taken so far.
    pub batches: u64,
}

/// The intake and what it needs.
pub struct Intake<T> {
    pub ingest: Ingest,
    pub routing: Arc<Mutex<Routing>>,
    pub state: StateReader,
    pub running: HashSet<SubId>,
    pub clock: Arc<dyn Clock>,
    pub log: LogReader,
    pub entries: Sender<Entry<T>>,
    pub wake: Receiver<()>,
    pub requests: Receiver<ToIntake<T>>,
    pub status: Arc<Mutex<IntakeStatus>>,
    pending: Option<ToIntake<T>>,
    last_retire: Option<Duration>,
}

/// The records and the feed of one batch.
pub fn accept(batch: Batch, routing: &Routing) -> (Vec<Record>, Feed) {
    let mut feed = Feed::default();
    let mut matched_subs = Vec::new();
    let mut counts = BTreeMap::new();
    let mut events = batch.events.into_iter().map(Arc::new).peekable();
    let mut records = Vec::with_capacity(batch.extents.len() + batch.log_cursors.len());
    for extent in batch.extents {
        counts.clear();
        let mut unmatched = 0;
        while let Some(event) = events.next_if(|event| event.seq < extent.next_seq()) {
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
    for cursor in batch.log_cursors {
        let (source, cursor) = cursor.encode();
        records.push(Record::SourceCursor { source, cursor });
    }
    (records, feed)
}

/// Counts the kept events from `from` on that `filter` takes.
pub fn count_past(ledger: &Ledger, log: &LogReader, filter: &CompiledFilter, from: Seq) -> Result<u64, String> {
    let mut count = 0;
    for extent in ledger.extents.iter().filter(|extent| extent.events > 0 && extent.next_seq() > from) {
        let events = log.read(extent, from).map_err(|error| error.to_string())?;
        count += events.iter().filter(|event| filter.matches(event)).count() as u64;
    }
    Ok(count)
}

impl<T> Intake<T> {
    /// One round: a request, a read, retirement. Returns how long nothing is expected to happen, or `None` to stop.
    pub fn step(&mut self) -> Result<Option<Duration>, Doubt> {
        match self.pending.take().or_else(|| self.requests.try_recv().ok()) {
            Some(ToIntake::Stop) => return Ok(None),
            Some(ToIntake::Reconfigure(request)) => self.reconfigure(*request),
            None => {}
        }
        let now = self.clock.now();
        let tick = self.ingest.tick(now).map_err(|error| Doubt(error.to_string()))?;
        let taken = tick.batches.len() as u64;
        let routing = lock(&self.routing).clone();
        for batch in tick.batches {
            let (records, feed) = accept(batch, &routing);
            if self.entries.send(Entry::new(records, Then::Feed(feed))).is_err() {
                return Ok(None);
            }
        }
        let monotonic = self.clock.monotonic();
        if self.last_retire.is_none_or(|last| monotonic.saturating_sub(last) >= SCAN_INTERVAL) {
            self.last_retire = Some(monotonic);
            self.retire()?;
        }
        {
            let mut status = lock(&self.status);
            status.idle = taken == 0 && matches!(tick.next, Next::Idle);
            status.batches += taken;
        }
        Ok(Some(match tick.next {
            Next::Now => Duration::ZERO,
            Next::At(at) => at.since(now).clamp(Duration::from_millis(1), SCAN_INTERVAL),
            Next::Idle => SCAN_INTERVAL,
        }))
    }

    /// Waits for a hint, a request or the time to look again.
    pub fn wait(&mut self, at_most: Duration) {
        if at_most.is_zero() {
            return;
        }
        select! {
            recv(self.wake) -> _ => {}
            recv(self.requests) -> request => self.pending = request.ok(),
            default(at_most) => {}
        }
    }

    /// Puts finished segments away and tells those who look how far reading is.
    fn retire(&mut self) -> Result<(), Doubt> {
        let now = self.clock.now();
        let settled_below = self.state.ledger().settled_below();
        let view = self.state.view.clone();
        let needed = |segment| view.pinned_offsets(segment).map_err(|error| error.to_string());
        let purged =
            self.ingest.retire(settled_below, now, &needed).map_err(|error| Doubt(error.to_string()))?;
        if !purged.is_empty() {
            let records = purged.into_iter().map(|segment| Record::Purged { segment, at: now }).collect();
            let _ = self.entries.send(Entry::new(records, Then::Nothing));
        }
        let mut status = lock(&self.status);
        status.sources = self.ingest.sources();
        status.problems = self.ingest.problems();
        Ok(())
    }

    /// Routes by a new set of subscriptions from the next event on. The ledger must show everything that was handed to the
    /// committer before, so the committer is asked to catch up first.
    fn reconfigure(&mut self, request: Reconfigure<T>) {
        let (reached, wait) = bounded(1);
        let barrier = Entry { reply: Some(reached), ..Entry::new(Vec::new(), Then::Nothing) };
        if self.entries.send(barrier).is_err() || wait.recv().is_err() {
            let _ = request.reply.send(Err("the engine is stopping".to_owned()));
            return;
        }
        let ledger = self.state.ledger().clone();
        let past = |filter: &CompiledFilter, from| count_past(&ledger, &self.log, filter, from);
        match plan(&ledger, &request.subscriptions, &self.running, self.clock.now(), &past) {
            Err(reason) => {
                let _ = request.reply.send(Err(reason));
            }
            Ok(plan) => {
                self.running.extend(plan.routing.subscriptions.keys());
                *lock(&self.routing) = plan.routing;
                let entry = Entry { reply: Some(request.reply), ..Entry::new(plan.records, Then::Lanes(plan.lanes)) };
                let _ = self.entries.send(entry);
            }
        }
    }
}

fn lock<V>(mutex: &Mutex<V>) -> MutexGuard<'_, V> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
