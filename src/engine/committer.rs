//! The committer: gathers what wants to be durable, makes one commit of it, and lets loose what waited for it.
//!
//! The only thread that writes the journal and the view. If a commit fails nothing is let loose: the line stops.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::doubt::Doubt;
use super::messages::{Entry, Then, ToScheduler};
use crate::dispatch::{Input, Job};
use crate::env::Clock;
use crate::store::{Record, RowNotice, State};

/// Entries in one commit at most.
const ENTRIES_MAX: usize = 1024;
/// How long ledger changes may wait for the view on an idle engine.
const IDLE: Duration = Duration::from_secs(1);

/// Sees every durable record, and how long the commit took that made it so.
pub type Observer = Box<dyn Fn(&[Record], Duration) + Send>;

/// Where the committer lets things loose.
pub struct Outlets<T> {
    pub scheduler: Sender<ToScheduler<T>>,
    pub jobs: Box<dyn Fn(Job<T>) + Send>,
    /// Looks at every durable record: counters, the live stream.
    pub observe: Observer,
    pub clock: Arc<dyn Clock>,
}

/// Writes the checkpoint of a clean stop. On a full disk there is none, and the next start reads more of the journal.
pub fn conclude(state: &mut State) -> Result<(), Doubt> {
    match state.checkpoint().map_err(Doubt::from) {
        Err(doubt) if doubt.cause.passes() => {
            tracing::warn!(
                reason = doubt.reason,
                "stopped without a checkpoint: the next start reads the journal instead"
            );
            Ok(())
        }
        done => done,
    }
}

/// Takes what has gathered (waiting up to a second for a first entry), commits it and lets it loose. Returns `false` when
/// it was told to stop.
pub fn step<T>(state: &mut State, entries: &Receiver<Entry<T>>, outlets: &Outlets<T>) -> Result<bool, Doubt> {
    let first = match entries.recv_timeout(IDLE) {
        Ok(entry) => entry,
        Err(RecvTimeoutError::Timeout) => {
            state.store_ledger()?;
            return Ok(true);
        }
        Err(RecvTimeoutError::Disconnected) => return Ok(false),
    };
    let mut gathered = vec![first];
    gathered.extend(entries.try_iter().take(ENTRIES_MAX - 1));
    let go_on = !gathered.iter().any(|entry| matches!(entry.then, Then::Stop));
    commit(state, gathered, outlets)?;
    Ok(go_on)
}

/// Commits `entries` as one and lets them loose in order.
pub fn commit<T>(state: &mut State, mut entries: Vec<Entry<T>>, outlets: &Outlets<T>) -> Result<(), Doubt> {
    let records: Vec<Record> = entries.iter_mut().flat_map(|entry| std::mem::take(&mut entry.records)).collect();
    let begun = outlets.clock.monotonic();
    let notices = match state.commit(&records) {
        Ok(notices) => notices,
        Err(error) => {
            let doubt = Doubt::from(error);
            entries.into_iter().filter_map(|entry| entry.reply).for_each(|reply| {
                let _ = reply.send(Err(doubt.reason.clone()));
            });
            return Err(doubt);
        }
    };
    (outlets.observe)(&records, outlets.clock.monotonic().saturating_sub(begun));
    let commits = entries.iter().map(|entry| entry.commits).sum();
    tell_scheduler(outlets, notices, commits);
    for entry in entries {
        match entry.then {
            Then::Nothing | Then::Stop => {}
            Then::Send(jobs) => jobs.into_iter().for_each(&*outlets.jobs),
            Then::Feed(feed) => send(outlets, ToScheduler::Input(Input::Fed(feed))),
            Then::Lanes(commands) => send(outlets, ToScheduler::Lanes(commands)),
            Then::Inspect(look) => look(state),
            Then::Prune { bytes_max, before } => {
                let files = state.prune_history(bytes_max, before)?;
                tracing::debug!(files, "history pruned");
            }
        }
        if let Some(reply) = entry.reply {
            let _ = reply.send(Ok(()));
        }
    }
    Ok(())
}

fn tell_scheduler<T>(outlets: &Outlets<T>, notices: Vec<RowNotice>, commits: usize) {
    if commits > 0 || !notices.is_empty() {
        send(outlets, ToScheduler::Input(Input::Committed { notices, commits }));
    }
}

/// The scheduler outlives the committer except while everything stops.
fn send<T>(outlets: &Outlets<T>, message: ToScheduler<T>) {
    let _ = outlets.scheduler.send(message);
}
