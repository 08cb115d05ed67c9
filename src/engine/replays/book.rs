//! Every job, for those who make them, feed them, look at them, and tell them what became durable.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::files::{JobFileError, JobFiles, Marks};
use super::job::{Info, Job, Mark};
use super::list::{Entry, Snapshot};
use crate::admin::api::{Page, ReplayJob};
use crate::admin::{Caller, ControlError, PageRequest};
use crate::engine::running::lock;
use crate::model::{Rate, Timestamp};
use crate::store::{DeliveryFacts, DeliveryKey, Record};

/// Jobs that have ended are kept for so long...
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// ...and so many of them.
const KEPT_MAX: usize = 1_000;
/// Jobs that may be under way at a time: each is asked about every delivery that ends.
const RUNNING_MAX: usize = 16;
/// Records after which marks are written again though nothing changed, so that a start has little to read.
const LSN_BEHIND_MAX: u64 = 20_000;

/// A batch to be handed over.
pub struct Batch {
    pub id: String,
    pub consent: bool,
    pub entries: Vec<(u32, Entry, Option<DeliveryFacts>)>,
}

struct Inner {
    /// By id, and so by age.
    jobs: BTreeMap<String, Job>,
    /// The journal's last record of which the marks know.
    lsn: u64,
    /// Where the marks of each job were written last.
    written: BTreeMap<String, u64>,
}

/// The jobs.
pub struct Book {
    files: JobFiles,
    inner: Mutex<Inner>,
    /// Held by whoever hands deliveries over.
    feeding: Mutex<()>,
    is_active: AtomicBool,
    is_stopped: AtomicBool,
    wake: Sender<()>,
    woken: Receiver<()>,
}

/// A job that was just made, and nothing of it fed; nobody else feeds until this is dropped.
pub struct Created<'a> {
    pub id: String,
    pub _feeding: MutexGuard<'a, ()>,
}

impl Book {
    /// The jobs as [`load`](super::load) found them, with the journal's last record.
    pub fn new(files: JobFiles, jobs: Vec<Job>, lsn: u64) -> Self {
        let is_active = AtomicBool::new(jobs.iter().any(|job| job.work.is_some()));
        let jobs = jobs.into_iter().map(|job| (job.info.id.clone(), job)).collect();
        let (wake, woken) = bounded(1);
        let inner = Mutex::new(Inner { jobs, lsn, written: BTreeMap::new() });
        Self { files, inner, feeding: Mutex::new(()), is_active, is_stopped: AtomicBool::new(false), wake, woken }
    }

    fn wake(&self) {
        // One that waits already stands for this one.
        let _ = self.wake.try_send(());
    }

    /// The feeder ends.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Waits for something to do; `false`: it is time to end.
    pub fn wait(&self, at_most: Duration) -> bool {
        let _ = self.woken.recv_timeout(at_most);
        !self.is_stopped.load(Ordering::SeqCst)
    }

    /// Takes note of durable records; `lsn` is the number of the last.
    pub fn observe(&self, records: &[Record], lsn: impl FnOnce() -> u64) {
        if !self.is_active.load(Ordering::Acquire) || records.is_empty() {
            return;
        }
        let lsn = lsn();
        let mut inner = lock(&self.inner);
        inner.lsn = lsn;
        let mut told = false;
        for job in inner.jobs.values_mut().filter(|job| job.work.is_some()) {
            for record in records {
                told |= job.take(record);
            }
        }
        if told {
            self.wake();
        }
    }

    /// Makes a job, durably. `lsn`: the journal's last record when its list was made.
    pub fn create(&self, info: Info, snapshot: Snapshot, rate: Option<Rate>) -> Result<Created<'_>, ControlError> {
        let running = self.running();
        if running >= RUNNING_MAX {
            let message = format!("{running} replays are under way; wait for one to end, or cancel one");
            return Err(ControlError::Conflict(message));
        }
        self.files.create(&info, &snapshot).map_err(|error| ControlError::Internal(error.to_string()))?;
        let id = info.id.clone();
        let feeding = lock(&self.feeding);
        let mut inner = lock(&self.inner);
        self.is_active.store(true, Ordering::Release);
        inner.lsn = inner.lsn.max(info.lsn);
        inner.jobs.insert(id.clone(), Job::new(info, snapshot, rate));
        drop(inner);
        self.wake();
        Ok(Created { id, _feeding: feeding })
    }

    /// The right to feed, unless somebody has it.
    pub fn try_feeding(&self) -> Option<MutexGuard<'_, ()>> {
        match self.feeding.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The jobs that have something to send.
    pub fn hungry(&self) -> Vec<String> {
        lock(&self.inner).jobs.values().filter(|job| job.has_unsent()).map(|job| job.info.id.clone()).collect()
    }

    /// See [`Job::take_batch`].
    pub fn take_batch(&self, id: &str, now: Duration, whole: bool) -> Option<Batch> {
        let mut inner = lock(&self.inner);
        let job = inner.jobs.get_mut(id)?;
        let batch = job.take_batch(now, whole);
        let facts = &job.work.as_ref()?.snapshot.facts;
        let entries: Vec<_> = batch.into_iter().map(|(at, entry)| (at, entry, facts.get(&at).cloned())).collect();
        let (id, consent) = (job.info.id.clone(), job.info.consent);
        (!entries.is_empty()).then_some(Batch { id, consent, entries })
    }

    /// These go under these keys, and those are left alone.
    pub fn settle_batch(&self, id: &str, sent: &[(u32, DeliveryKey)], skipped: &[u32]) {
        let mut inner = lock(&self.inner);
        let Some(job) = inner.jobs.get_mut(id) else { return };
        skipped.iter().for_each(|at| job.set(*at, Mark::Skipped));
        sent.iter().for_each(|(at, key)| job.follow(*key, *at));
    }

    /// Writes down what changed, and ends jobs that are through.
    pub fn write(&self, now: Timestamp) -> Result<(), JobFileError> {
        let mut due = Vec::new();
        let mut settled = Vec::new();
        {
            let mut inner = lock(&self.inner);
            let Inner { jobs, lsn, written } = &mut *inner;
            for job in jobs.values_mut().filter(|job| job.work.is_some()) {
                let at = written.get(&job.info.id).copied().unwrap_or(job.info.lsn);
                if job.is_settled() {
                    settled.push(job.as_ended(now));
                } else if job.take_changed() || *lsn > at + LSN_BEHIND_MAX {
                    let marks = job.work.as_ref().map(|work| work.marks.clone()).unwrap_or_default();
                    due.push((job.info.id.clone(), Marks { lsn: *lsn, marks, followed: job.followed() }));
                }
            }
        }
        for (id, marks) in due {
            self.files.put_marks(&id, &marks)?;
            lock(&self.inner).written.insert(id, marks.lsn);
        }
        for ended in settled {
            self.files.put_info(&ended.info)?;
            self.files.drop_work(&ended.info.id);
            let mut inner = lock(&self.inner);
            inner.written.remove(&ended.info.id);
            inner.jobs.insert(ended.info.id.clone(), ended);
        }
        self.forget(now);
        Ok(())
    }

    fn forget(&self, now: Timestamp) {
        let mut inner = lock(&self.inner);
        let before = now.minus(KEPT);
        let ended: Vec<(String, i64)> =
            inner.jobs.values().filter_map(|job| job.info.ended.map(|(at, _)| (job.info.id.clone(), at))).collect();
        let over = ended.len().saturating_sub(KEPT_MAX);
        for (place, (id, at)) in ended.into_iter().enumerate() {
            if place < over || at < before.0 {
                inner.jobs.remove(&id);
                self.files.forget(&id);
            }
        }
        let is_active = inner.jobs.values().any(|job| job.work.is_some());
        self.is_active.store(is_active, Ordering::Release);
    }

    /// One job.
    pub fn show(&self, caller: &Caller, id: &str, now: Duration) -> Result<ReplayJob, ControlError> {
        let inner = lock(&self.inner);
        let job = inner.jobs.get(id).filter(|job| job.info.is_seen_by(caller)).ok_or_else(|| unknown(id))?;
        Ok(job.view(now))
    }

    /// How many are under way.
    pub fn running(&self) -> usize {
        lock(&self.inner).jobs.values().filter(|job| job.work.is_some()).count()
    }

    /// Jobs, newest first. Cursors are the id to go on below.
    pub fn list(&self, caller: &Caller, page: &PageRequest, now: Duration) -> Page<ReplayJob> {
        let inner = lock(&self.inner);
        let is_below = |id: &String| page.cursor.as_ref().is_none_or(|cursor| id < cursor);
        let mut seen = inner.jobs.iter().rev().filter(|(id, job)| is_below(id) && job.info.is_seen_by(caller));
        let data: Vec<ReplayJob> = seen.by_ref().take(usize::from(page.limit)).map(|(_, job)| job.view(now)).collect();
        let has_more = seen.next().is_some();
        let next_cursor = data.last().map(|job| job.id.clone()).filter(|_| has_more);
        Page { data, next_cursor, has_more }
    }

    /// Keeps what is not sent yet from being sent, durably.
    pub fn cancel(&self, caller: &Caller, id: &str, now: Duration) -> Result<ReplayJob, ControlError> {
        // Whoever feeds has marked what goes, and what goes is not cancelled: only the mark is raced for, under the lock.
        let mut inner = lock(&self.inner);
        let job = inner.jobs.get_mut(id).filter(|job| job.info.is_seen_by(caller)).ok_or_else(|| unknown(id))?;
        if job.info.cancelled || !job.has_unsent() {
            let why = match (job.info.cancelled, job.is_settled()) {
                (true, _) => "was cancelled before",
                (_, true) => "is done",
                (..) => "has sent everything; single deliveries can still be cancelled",
            };
            return Err(ControlError::Conflict(format!("the replay {id} {why}")));
        }
        // The file says so first: a start after a crash cancels what had not gone out.
        let info = Info { cancelled: true, ..job.info.clone() };
        self.files.put_info(&info).map_err(|error| ControlError::Internal(error.to_string()))?;
        job.cancel();
        let view = job.view(now);
        drop(inner);
        self.wake();
        Ok(view)
    }
}

fn unknown(id: &str) -> ControlError {
    ControlError::NotFound(format!("there is no replay {id}; see `spoolhook replay list`"))
}
