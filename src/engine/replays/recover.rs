//! Taking jobs up again: what the journal says behind their marks is brought in.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use super::files::{JobFileError, JobFiles};
use super::job::{Job, Mark};
use crate::model::{Seq, SubId};
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
