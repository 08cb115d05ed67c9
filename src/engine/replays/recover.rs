//! Taking jobs up again: what the journal says behind their marks is brought in.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::files::{JobFileError, JobFiles, Marks};
use super::job::{Job, Mark};
use crate::model::{Mode, Seq, SubId, Subscription};
use crate::store::{DeliveryKey, JournalError, Record, StateReader};

/// A job does not come back.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    File(#[from] JobFileError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Every job as it stands by the journal. Nothing may be committed meanwhile.
pub fn load(files: &JobFiles, state: &StateReader) -> Result<Vec<Job>, RecoverError> {
    let mut loaded = files.load()?;
    let running = || loaded.iter().filter(|(job, ..)| job.work.is_some());
    let Some(oldest) = running().map(|(_, lsn, _)| *lsn).min() else {
        return Ok(loaded.into_iter().map(|(job, ..)| job).collect());
    };
    let wanted: HashSet<(SubId, Seq)> = running()
        .flat_map(|(job, ..)| job.work.iter().flat_map(|work| &work.snapshot.entries))
        .map(|entry| (entry.key.sub, entry.key.seq))
        .collect();
    let mut found = Vec::new();
    state.history(u64::MAX, |lsn, record| {
        if lsn <= oldest {
            return ControlFlow::Break(());
        }
        if key_of(&record).is_some_and(|key| wanted.contains(&(key.sub, key.seq))) {
            found.push((lsn, record));
        }
        ControlFlow::Continue(())
    })?;
    for (job, lsn, followed) in &mut loaded {
        followed.iter().for_each(|(key, at)| job.follow(*key, *at));
        let later = found.iter().rev().filter(|(at, _)| at > lsn).map(|(_, record)| record);
        catch_up(job, later);
    }
    Ok(loaded.into_iter().map(|(job, ..)| job).collect())
}

/// The state may be older than what was sent: what jobs had yet to send at most once may have been sent, and is left alone
/// from now on. Call it before the engine's answer to what was lost is durable; until then every start comes here again.
pub fn leave_doubtful<T>(
    files: &JobFiles,
    state: &StateReader,
    wanted: &[(Arc<Subscription>, Arc<T>)],
) -> Result<(), RecoverError> {
    let mut jobs = load(files, state)?;
    let ledger = state.ledger();
    let may_repeat = |sub: SubId| {
        let lane = ledger.lanes.get(&sub);
        let mut configured = wanted.iter().map(|(subscription, _)| subscription);
        let configured =
            configured.find(|each| lane.is_some_and(|lane| each.tenant() == lane.tenant && each.name == lane.name));
        configured.is_some_and(|each| each.mode == Mode::AtLeastOnce)
    };
    for job in &mut jobs {
        let Some(work) = &job.work else { continue };
        let entries = work.snapshot.entries.iter().zip(&work.marks).enumerate();
        let doubtful = entries.filter(|(_, (entry, mark))| **mark == Mark::Waiting && !may_repeat(entry.key.sub));
        let doubtful: Vec<u32> = doubtful.map(|(at, _)| at as u32).collect();
        doubtful.into_iter().for_each(|at| job.set(at, Mark::Skipped));
        let followed = job.followed();
        if let Some(work) = &job.work {
            files.put_marks(&job.info.id, &Marks { lsn: ledger.lsn, marks: work.marks.clone(), followed })?;
        }
    }
    Ok(())
}

fn key_of(record: &Record) -> Option<DeliveryKey> {
    match record {
        Record::Retriggered { key, .. }
        | Record::Replayed { key, .. }
        | Record::Attempted { key, .. }
        | Record::Ended { key, .. } => Some(*key),
        _ => None,
    }
}

/// Takes in the records behind its marks, oldest first. What was about to be sent and did not become durable waits again.
fn catch_up<'a>(job: &mut Job, records: impl Iterator<Item = &'a Record>) {
    let Some(work) = &job.work else { return };
    let mut entries: HashMap<(SubId, Seq), Vec<(u32, DeliveryKey)>> = HashMap::new();
    for (at, entry) in work.snapshot.entries.iter().enumerate() {
        entries.entry((entry.key.sub, entry.key.seq)).or_default().push((at as u32, entry.key));
    }
    for record in records {
        if let (Record::Retriggered { .. } | Record::Replayed { .. }, Some(key)) = (record, key_of(record)) {
            let is_new = matches!(record, Record::Replayed { .. });
            let of_event = entries.get(&(key.sub, key.seq)).map_or(&[][..], Vec::as_slice);
            let unsent = of_event.iter().find(|(at, own)| {
                (is_new || *own == key) && matches!(job.mark_of(*at), Some(Mark::Waiting | Mark::Sending))
            });
            if let Some((at, _)) = unsent {
                job.set(*at, Mark::Sending);
                job.follow(key, *at);
            }
        }
        job.take(record);
    }
    let torn: Vec<(DeliveryKey, u32)> =
        job.followed().into_iter().filter(|(_, at)| job.mark_of(*at) == Some(Mark::Sending)).collect();
    torn.into_iter().for_each(|(key, _)| job.unfollow(key));
    for at in 0..job.work.as_ref().map_or(0, |work| work.marks.len()) as u32 {
        if job.mark_of(at) == Some(Mark::Sending) {
            job.set(at, Mark::Waiting);
        }
    }
    if job.info.cancelled {
        job.cancel();
    }
}
