//! The files of a job.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::job::{Info, Job, Mark};
use super::list::{SealError, Snapshot, seal, unseal};
use crate::env::{Files, replace};
use crate::store::DeliveryKey;

/// What became of a job's deliveries, up to a record of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    pub lsn: u64,
    pub marks: Vec<Mark>,
    /// The keys under which deliveries went, of those that had no end yet.
    pub followed: Vec<(DeliveryKey, u32)>,
}

/// A file of a job that does not read.
#[derive(Debug, thiserror::Error)]
pub enum JobFileError {
    #[error("{action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the replay job in {} does not read: {reason}. {advice}", path.display())]
    Damaged { path: PathBuf, reason: String, advice: &'static str },
    #[error(
        "{cause}; and it could not be taken back: the next start may begin this replay after all. Look at `spoolhook replay list` \
         then, before you ask for it again"
    )]
    NotTakenBack { cause: Box<JobFileError> },
}

const GIVE_UP: &str = "Move the files of this name away to give the job up (its deliveries stay what they are), and replay again what it had not sent";
const READ_AGAIN: &str = "Remove it: what became of the deliveries is then read from the journal";

/// A job, the record up to which its marks know, and the keys under which deliveries went.
pub type Loaded = (Job, u64, Vec<(DeliveryKey, u32)>);

/// The directory of all jobs.
#[derive(Clone)]
pub struct JobFiles {
    files: Arc<dyn Files>,
    dir: PathBuf,
}

impl JobFiles {
    /// `state` is the state directory.
    pub fn new(files: Arc<dyn Files>, state: &Path) -> Self {
        Self { files, dir: state.join("replays") }
    }

    fn path(&self, id: &str, extension: &str) -> PathBuf {
        self.dir.join(format!("{id}.{extension}"))
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), JobFileError> {
        replace(&*self.files, path, bytes).map_err(|source| JobFileError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, JobFileError> {
        match self.files.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(JobFileError::Io { action: "read", path: path.to_owned(), source }),
        }
    }

    /// Makes a job durable. After an error there is none, unless the error says otherwise.
    pub fn create(&self, info: &Info, snapshot: &Snapshot) -> Result<(), JobFileError> {
        let create = |source| JobFileError::Io { action: "create", path: self.dir.clone(), source };
        self.files.create_dirs(&self.dir, 0o700).map_err(create)?;
        let made = self.put(&self.path(&info.id, "list"), &seal(snapshot)).and_then(|()| self.put_info(info));
        made.map_err(|error| self.take_back(&info.id, error))
    }

    /// Its file may have got its name though `cause` says that the job was not made: no start may find it.
    fn take_back(&self, id: &str, cause: JobFileError) -> JobFileError {
        let gone = match self.files.unlink(&self.path(id, "json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        if gone.and_then(|()| self.files.sync_dir(&self.dir)).is_err() {
            // Its list stays: a job without one keeps an engine from starting.
            return JobFileError::NotTakenBack { cause: Box::new(cause) };
        }
        self.drop_work(id);
        cause
    }

    /// Writes what is kept of the job itself.
    pub fn put_info(&self, info: &Info) -> Result<(), JobFileError> {
        let json = serde_json::to_vec_pretty(info).expect("these types serialise");
        self.put(&self.path(&info.id, "json"), &json)
    }

    pub fn put_marks(&self, id: &str, marks: &Marks) -> Result<(), JobFileError> {
        self.put(&self.path(id, "marks"), &seal(marks))
    }

    /// Removes what is no longer needed once `put_info` has written the end.
    pub fn drop_work(&self, id: &str) {
        for extension in ["marks", "list"] {
            // One that stays is removed by the next start.
            let _ = self.files.unlink(&self.path(id, extension));
        }
    }

    /// Removes every trace of a job that has ended.
    pub fn forget(&self, id: &str) {
        let _ = self.files.unlink(&self.path(id, "json"));
        self.drop_work(id);
    }

    /// Every job, and the marks of those that have not ended.
    pub fn load(&self) -> Result<Vec<Loaded>, JobFileError> {
        let entries = match self.files.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|source| JobFileError::Io { action: "list", path: self.dir.clone(), source })?,
        };
        let names: Vec<String> = entries.iter().filter_map(|entry| entry.name.to_str().map(str::to_owned)).collect();
        let mut jobs = Vec::new();
        for name in &names {
            match name.rsplit_once('.') {
                Some((id, "json")) => jobs.push(self.load_one(id)?),
                // A crash left it: the job was never answered for, or has ended.
                Some((id, "list" | "marks")) if !names.contains(&format!("{id}.json")) => self.drop_work(id),
                _ => {}
            }
        }
        Ok(jobs)
    }

    fn load_one(&self, id: &str) -> Result<Loaded, JobFileError> {
        let path = self.path(id, "json");
        let damaged =
            |path: &Path, reason: String, advice| JobFileError::Damaged { path: path.to_owned(), reason, advice };
        let bytes = self.read(&path)?.unwrap_or_default();
        let info: Info = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, error.to_string(), GIVE_UP))?;
        if info.ended.is_some() {
            self.drop_work(id);
            return Ok((Job::ended(info), 0, Vec::new()));
        }
        let list = self.path(id, "list");
        let bytes = self.read(&list)?.ok_or_else(|| damaged(&list, "it is missing".to_owned(), GIVE_UP))?;
        let snapshot: Snapshot =
            unseal(&bytes).map_err(|error: SealError| damaged(&list, error.to_string(), GIVE_UP))?;
        let path = self.path(id, "marks");
        let fresh =
            || Marks { lsn: info.lsn, marks: vec![Mark::Waiting; snapshot.entries.len()], followed: Vec::new() };
        let marks: Marks = match self.read(&path)? {
            None => fresh(),
            Some(bytes) => unseal(&bytes).map_err(|error| damaged(&path, error.to_string(), READ_AGAIN))?,
        };
        if marks.marks.len() != snapshot.entries.len() {
            return Err(damaged(&path, "it speaks of another number of deliveries".to_owned(), READ_AGAIN));
        }
        let rate = info.rate.as_deref().and_then(crate::config::rate);
        Ok((Job::with_marks(info, snapshot, marks.marks, rate), marks.lsn, marks.followed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::{ReplayDirection, ReplayFilter};
    use crate::env::faulty::Faulty;

    fn info() -> Info {
        Info {
            id: "rpl_1".to_owned(),
            tenant: None,
            created_by: "root".to_owned(),
            created_ms: 0,
            filter: ReplayFilter::default(),
            rate: None,
            order: ReplayDirection::default(),
            consent: false,
            lsn: 1,
            cancelled: false,
            ended: None,
        }
    }

    #[test]
    fn a_job_that_was_refused_is_found_by_no_start() {
        for fault in [("append", ".list"), ("append", ".json"), ("rename", ".json"), ("sync_dir", "/replays")] {
            let dir = tempfile::tempdir().unwrap();
            let (faulty, faults) = Faulty::new();
            let jobs = JobFiles::new(faulty, dir.path());
            std::fs::create_dir(dir.path().join("replays")).unwrap();
            faults.set(Some(fault));
            let error = jobs.create(&info(), &Snapshot::default()).unwrap_err();
            // Only what was never taken back may come again, and the error says so.
            assert_eq!(matches!(error, JobFileError::NotTakenBack { .. }), fault.0 == "sync_dir", "{fault:?}: {error}");
            faults.set(None);
            assert!(jobs.load().unwrap().is_empty(), "{fault:?}");
            jobs.create(&info(), &Snapshot::default()).unwrap();
            assert_eq!(jobs.load().unwrap().len(), 1, "{fault:?}");
        }
    }

    #[test]
    fn a_job_that_cannot_be_taken_back_at_all_keeps_no_engine_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let (faulty, faults) = Faulty::new();
        let jobs = JobFiles::new(faulty, dir.path());
        jobs.create(&info(), &Snapshot::default()).unwrap();
        faults.set(Some(("unlink", "/replays/")));
        let error = jobs.create(&info(), &Snapshot::default()).unwrap_err();
        assert!(error.to_string().contains("spoolhook replay list"), "{error}");
        faults.set(None);
        assert_eq!(jobs.load().unwrap().len(), 1);
    }
}
