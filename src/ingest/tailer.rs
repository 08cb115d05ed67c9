//! The taking-in of events: one `tick` finds new files, copies logs, reads whole lines in turns, judges them, and hands
//! out what is durable. It never waits and owns no thread.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::env::{FileLock, Files};
use crate::model::{SegmentId, Seq, Timestamp};

use super::budget::Budget;
use super::claim::Inbox;
use super::error::IngestError;
use super::index::SegmentIndex;
use super::layout::Layout;
use super::log::LogSource;
use super::quarantine::QuarantineWriter;
use super::segment::Segment;
use super::settings::IngestSettings;
use super::shelf::Shelf;
use super::status::Problems;
use super::stream::Stream;
use super::tally::Tally;
use super::tick::{Batch, Next, Resume, Tick};

/// What one tick reads at most.
pub(super) const TICK_BYTES: u64 = 4 << 20;
const TICK_EVENTS: usize = 4096;
/// Memory for reading that is kept between ticks; a long line may take more for a moment.
const KEPT_BUFFER: usize = 1 << 20;
/// Streams looked at per tick.
const TICK_STREAMS: usize = 512;

/// No tick is this late but after the clock was set, or after the process was stopped.
const STEP_MAX: Duration = Duration::from_secs(60);

/// A time that passes evenly whatever happens to the clock: the sum of the steps of the wall clock, backward ones left out
/// and large ones cut short.
#[derive(Default)]
struct EngineTime {
    last: Option<Timestamp>,
    at: Duration,
}

impl EngineTime {
    fn advance(&mut self, now: Timestamp) -> Duration {
        self.at += self.last.map_or(Duration::ZERO, |last| now.since(last).min(STEP_MAX));
        self.last = Some(now);
        self.at
    }
}

/// What a tick reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// All streams, in turns.
    #[default]
    InTurns,
    /// One stream until it is finished, then the next.
    OneByOne,
    /// Nothing; room is looked for all the same, and what was read to its end is finished.
    Nothing,
}

/// The spool and the logs of one engine.
pub struct Ingest {
    pub(super) settings: IngestSettings,
    pub(super) files: Arc<dyn Files>,
    pub(super) layout: Layout,
    _lock: FileLock,
    pub(super) spool_id: Option<Uuid>,
    pub(super) is_new: bool,
    time: EngineTime,
    pub(super) inbox: Inbox,
    pub(super) streams: HashMap<String, Stream>,
    /// The streams in the order they are looked at.
    pub(super) ring: VecDeque<String>,
    pub(super) logs: Vec<LogSource>,
    pub(super) shelf: Shelf,
    /// Segments that were made again from the lines left of them.
    pub(super) brought_back: BTreeSet<SegmentId>,
    pub(super) quarantine: QuarantineWriter,
    pub(super) index: SegmentIndex,
    pub(super) problems: Problems,
    pub(super) tally: Tally,
    pub(super) budget: Budget,
    /// Whether the sign that asks producers to wait is there; unknown at first.
    pub(super) is_asking: Option<bool>,
    pub(super) next_seq: Seq,
    pub(super) last_segment: Option<SegmentId>,
    pub(super) random: fastrand::Rng,
    pub(super) buffer: Vec<u8>,
    pub(super) open_files: usize,
    pub(super) has_failed: bool,
    reading: Reading,
}

/// The running sums of one tick.
pub(super) struct TickState {
    pub(super) now: Timestamp,
    pub(super) at: Duration,
    pub(super) batches: Vec<Batch>,
    pub(super) bytes_left: u64,
    pub(super) events_left: usize,
    /// Lines rejected so far.
    pub(super) rejected: usize,
    pub(super) is_more: bool,
    next: Duration,
}

impl TickState {
    /// Asks for a tick at `at`.
    pub(super) fn wake_at(&mut self, at: Duration) {
        self.next = self.next.min(at);
    }
}

impl Ingest {
    /// Locks the spool, makes what is missing of it and finds the segments of the run before.
    pub fn open(
        settings: IngestSettings,
        files: Arc<dyn Files>,
        resume: Resume,
        now: Timestamp,
    ) -> Result<Self, IngestError> {
        let layout = Layout::of(&settings.dir);
        let mut random = fastrand::Rng::with_seed(settings.seed);
        let is_new = layout.spool_id(files.as_ref()).is_none();
        let lock = layout.prepare(files.as_ref(), random.u64(..))?;
        let mut time = EngineTime::default();
        time.advance(now);
        let mut cursors = resume.log_cursors.clone();
        cursors.retain(|cursor| !cursor.finished);
        let logs = settings
            .logs
            .iter()
            .map(|log| {
                let own = cursors.iter().filter(|cursor| cursor.log == log.name).cloned().collect();
                LogSource::new(log.clone(), own)
            })
            .collect();
        let mut ingest = Self {
            spool_id: layout.spool_id(files.as_ref()),
            is_new,
            _lock: lock,
            time,
            inbox: Inbox::default(),
            streams: HashMap::new(),
            ring: VecDeque::new(),
            logs,
            shelf: Shelf::default(),
            brought_back: BTreeSet::new(),
            quarantine: QuarantineWriter::new(Arc::clone(&files), layout.quarantine.clone()),
            index: SegmentIndex::default(),
            problems: Problems::default(),
            tally: Tally::default(),
            budget: Budget::new(settings.reserve, settings.dir.clone(), settings.beside.clone()),
            is_asking: None,
            next_seq: resume.next_seq.max(1),
            last_segment: resume.last_segment.max(resume.consumed.keys().max().copied()),
            random,
            buffer: Vec::new(),
            open_files: 0,
            has_failed: false,
            reading: Reading::default(),
            settings,
            files,
            layout,
        };
        let newest = ingest.resume(&resume, now)?;
        ingest.last_segment = ingest.last_segment.max(newest);
        Ok(ingest)
    }

    /// Does a bounded piece of work. Every byte the batches speak of is on disk, and so are the quarantine's records;
    /// the caller makes the extents durable before anything is sent, or re-opens the spool if it cannot.
    pub fn tick(&mut self, now: Timestamp) -> Result<Tick, IngestError> {
        if self.has_failed {
            return Err(IngestError::Stopped);
        }
        let result = self.run(now);
        self.has_failed = result.is_err();
        result
    }

    fn run(&mut self, now: Timestamp) -> Result<Tick, IngestError> {
        let at = self.time.advance(now);
        let mut tick = self.new_tick(now);
        self.problems.forget_old(now);
        self.gather(&mut tick)?;
        let looks = self.ring.len().min(TICK_STREAMS);
        for _ in 0..looks {
            if tick.bytes_left == 0 || tick.events_left == 0 {
                tick.is_more = true;
                break;
            }
            let Some(key) = self.ring.pop_front() else { break };
            if self.reading == Reading::Nothing && self.streams.get(&key).is_some_and(Stream::has_unread) {
                self.ring.push_back(key);
                continue;
            }
            if self.visit(&key, &mut tick)? {
                let stream = self.streams.get(&key).filter(|_| self.reading == Reading::OneByOne);
                if stream.is_some_and(|stream| stream.has_unread() || stream.ends_soon()) {
                    // What is done with can be removed.
                    self.ring.push_front(key);
                    break;
                }
                self.ring.push_back(key);
            }
        }
        if self.ring.len() > TICK_STREAMS {
            let share = TICK_STREAMS as f64 / self.ring.len() as f64;
            tick.wake_at(at + self.settings.scan_interval.mul_f64(share));
        }
        self.quarantine.flush()?;
        self.buffer.shrink_to(KEPT_BUFFER);
        let next = if tick.is_more { Next::Now } else { Next::At(now.plus(tick.next.saturating_sub(at))) };
        Ok(Tick { batches: tick.batches, next })
    }

    pub(super) fn new_tick(&self, now: Timestamp) -> TickState {
        let at = self.time.at;
        TickState {
            now,
            at,
            batches: Vec::new(),
            bytes_left: TICK_BYTES,
            events_left: TICK_EVENTS,
            rejected: 0,
            is_more: false,
            next: at + self.settings.scan_interval,
        }
    }

    /// What the next ticks read.
    pub fn set_reading(&mut self, reading: Reading) {
        self.reading = reading;
    }

    pub(super) fn fresh_id(&mut self, now: Timestamp) -> SegmentId {
        let id = SegmentId::next(now, self.last_segment, self.random.u64(..));
        self.last_segment = Some(id);
        id
    }

    pub(super) fn stream(&mut self, key: &str) -> &mut Stream {
        self.streams.entry(key.to_owned()).or_insert_with(|| {
            self.ring.push_back(key.to_owned());
            Stream::new()
        })
    }

    pub(super) fn push_segment(&mut self, key: &str, segment: Segment) {
        self.stream(key).segments.push_back(segment);
    }

    pub(super) fn engine_time(&self) -> Duration {
        self.time.at
    }
}
