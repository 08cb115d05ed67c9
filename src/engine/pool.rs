//! The worker threads: a pool that grows on demand up to a bound and never shrinks, since a blocked thread is cheap.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Stack of a worker: rendering and TLS need little.
const STACK_BYTES: usize = 512 << 10;

/// A pool that runs `work` on each job.
pub struct Pool<J> {
    shared: Arc<Shared<J>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    threads_max: usize,
}

/// A condition variable, not a channel: dozens of workers wait most of the time, and a waiting channel first yields the
/// processor to everybody else a few times.
struct Shared<J> {
    queue: Mutex<Queue<J>>,
    filled: Condvar,
    work: Box<dyn Fn(J) + Send + Sync>,
}

struct Queue<J> {
    jobs: VecDeque<J>,
    /// Workers that wait, and how many of them were called and did not come yet.
    idle: usize,
    called: usize,
    closed: bool,
}

impl<J: Send + 'static> Pool<J> {
    /// No thread is started before the first job.
    pub fn new(threads_max: usize, work: impl Fn(J) + Send + Sync + 'static) -> Self {
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), idle: 0, called: 0, closed: false });
        let shared = Shared { queue, filled: Condvar::new(), work: Box::new(work) };
        Self { shared: Arc::new(shared), threads: Mutex::default(), threads_max: threads_max.max(1) }
    }

    /// Hands in a job. The caller bounds how many are under way.
    pub fn submit(&self, job: J) {
        let mut queue = self.shared.lock();
        if queue.closed {
            return;
        }
        queue.jobs.push_back(job);
        if queue.idle > queue.called {
            queue.called += 1;
            drop(queue);
            self.shared.filled.notify_one();
        } else {
            drop(queue);
            self.grow();
        }
    }

    fn grow(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.len() >= self.threads_max {
            return;
        }
        let shared = self.shared.clone();
        let name = format!("worker-{}", threads.len() + 1);
        match thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || shared.run()) {
            Ok(thread) => threads.push(thread),
            Err(error) => tracing::warn!(%error, workers = threads.len(), "no further worker thread could be started"),
        }
    }

    /// How many workers there are, and how many of them are at work.
    pub fn size(&self) -> (usize, usize) {
        let all = self.threads.lock().unwrap_or_else(PoisonError::into_inner).len();
        (all, all.saturating_sub(self.shared.lock().idle))
    }

    /// Starts a worker for jobs that wait although none could be started when they came.
    pub fn mend(&self) {
        let queue = self.shared.lock();
        let is_short = queue.jobs.len() > queue.called;
        drop(queue);
        if is_short {
            self.grow();
        }
    }

    /// Takes no more jobs and drops those that nobody has begun. Workers end with what they do now.
    pub fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.filled.notify_all();
    }

    /// Whether every worker has ended; only after `close`.
    pub fn has_ended(&self) -> bool {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.is_empty()
    }
}

impl<J> Shared<J> {
    fn run(&self) {
        while let Some(job) = self.next() {
            (self.work)(job);
        }
    }

    fn next(&self) -> Option<J> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue.idle += 1;
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
            queue.called = queue.called.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<J>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_job_runs_and_the_pool_stays_small() {
        let done = Arc::new(AtomicUsize::new(0));
        let count = done.clone();
        let pool = Pool::new(3, move |amount: usize| {
            count.fetch_add(amount, Ordering::SeqCst);
        });
        (1..=100).for_each(|amount| pool.submit(amount));
        assert!((1..=3).contains(&pool.threads.lock().unwrap().len()));
        while done.load(Ordering::SeqCst) < 5050 {
            thread::yield_now();
        }
        pool.close();
        while !pool.has_ended() {
            thread::yield_now();
        }
    }
}
