//! The worker threads: a pool that grows on demand up to a bound and never shrinks, since a blocked thread is cheap.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Mutex;

/// Stack of a worker: rendering and TLS need little.
const STACK_BYTES: usize = 512 << 10;

/// A pool that runs `work` on each job.
pub struct Pool<J> {
    jobs: Option<Sender<J>>,
    shared: Arc<Shared<J>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    threads_max: usize,
}

struct Shared<J> {
    queue: Receiver<J>,
    /// Jobs handed in and not yet finished.
    load: AtomicUsize,
    alive: AtomicUsize,
    work: Box<dyn Fn(J) + Send + Sync>,
}

impl<J: Send + 'static> Pool<J> {
    /// No thread is started before the first job.
    pub fn new(threads_max: usize, work: impl Fn(J) + Send + Sync + 'static) -> Self {
        let (jobs, queue) = unbounded();
        let shared = Shared { queue, load: AtomicUsize::new(0), alive: AtomicUsize::new(0), work: Box::new(work) };
        Self { jobs: Some(jobs), shared: Arc::new(shared), threads: Mutex::default(), threads_max: threads_max.max(1) }
    }

    /// Hands in a job. The caller bounds how many are under way.
    pub fn submit(&self, job: J) {
        let load = self.shared.load.fetch_add(1, Ordering::Relaxed) + 1;
        if load > self.shared.alive.load(Ordering::Relaxed) {
            self.grow();
        }
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    fn grow(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if threads.len() >= self.threads_max {
            return;
        }
        let shared = self.shared.clone();
        let name = format!("worker-{}", threads.len() + 1);
        match thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || shared.run()) {
            Ok(thread) => {
                self.shared.alive.fetch_add(1, Ordering::Relaxed);
                threads.push(thread);
            }
            Err(error) => tracing::warn!(%error, workers = threads.len(), "no further worker thread could be started"),
        }
    }

    /// Waits until every job is done.
    pub fn finish(&mut self) {
        self.jobs = None;
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl<J> Shared<J> {
    fn run(&self) {
        while let Ok(job) = self.queue.recv() {
            (self.work)(job);
            self.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_runs_and_the_pool_stays_small() {
        let done = Arc::new(AtomicUsize::new(0));
        let count = done.clone();
        let mut pool = Pool::new(3, move |amount: usize| {
            count.fetch_add(amount, Ordering::SeqCst);
        });
        (1..=100).for_each(|amount| pool.submit(amount));
        assert!((1..=3).contains(&pool.threads.lock().unwrap().len()));
        pool.finish();
        assert_eq!(done.load(Ordering::SeqCst), 5050);
    }
}
