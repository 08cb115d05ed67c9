//! A request with an `Idempotency-Key` is carried out once, whatever fails in between. What failed before its file had a name
//! is written when the request is repeated; what failed after that is not, as long as the process runs or the file is kept: a
//! file that is gone after a new start may have been read, or lost with its name.

use std::io;
use std::path::PathBuf;

use crate::engine::receipts::{Begin, Hash, Receipts, stem};
use crate::ingest::{LogReader, ProduceError, Producer};
use crate::model::{SegmentId, Timestamp};

/// What is asked and told on the way.
pub struct Once<'a> {
    pub receipts: &'a Receipts,
    pub log: &'a LogReader,
    pub producer: &'a Producer,
    pub now: Timestamp,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Write it under this token, and [`end`](Once::end) with how that went.
    Write(SegmentId),
    /// Nothing: it was written under this token.
    Done(SegmentId),
    /// The key stands for another body.
    Differs,
    /// Another request with the key is under way.
    Busy,
}

fn receipts_failed(source: io::Error) -> ProduceError {
    ProduceError::Io { path: PathBuf::from("receipts"), source }
}

impl Once<'_> {
    /// What to do for the request `key` of the body `body`; `fresh` names it if it is new.
    pub fn begin(&self, key: Hash, body: Hash, fresh: SegmentId) -> Result<Next, ProduceError> {
        let token = match self.receipts.begin(key, body, fresh, self.now).map_err(receipts_failed)? {
            Begin::Write(token) => return Ok(Next::Write(token)),
            Begin::Done(token) => return Ok(Next::Done(token)),
            Begin::Differs => return Ok(Next::Differs),
            Begin::Busy => return Ok(Next::Busy),
            Begin::There(token) => token,
            Begin::WriteUnlessThere(token) => {
                let looked = self.log.has_file(&stem(token)).inspect_err(|_| self.receipts.unsure(&key));
                match looked.map_err(|source| ProduceError::Io { path: PathBuf::from(stem(token)), source })? {
                    true => token,
                    false => return Ok(Next::Write(token)),
                }
            }
        };
        self.producer.sync_names().inspect_err(|_| self.receipts.there(&key))?;
        self.receipts.done(&key, self.now).map_err(receipts_failed)?;
        Ok(Next::Done(token))
    }

    /// Puts down how writing it went.
    pub fn end(&self, key: &Hash, written: Result<(), ProduceError>) -> Result<(), ProduceError> {
        match &written {
            Ok(()) => self.receipts.done(key, self.now).map_err(receipts_failed)?,
            Err(ProduceError::NotDurable { .. }) => self.receipts.there(key),
            Err(ProduceError::Io { .. }) => self.receipts.unsure(key),
            Err(_) => self.receipts.void(key, self.now),
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::engine::receipts::hash;
    use crate::env::faulty::{Faults, Faulty};
    use crate::env::{Files, OsFiles};

    const NOON: Timestamp = Timestamp(1_773_309_600_000);
    const TOKEN: SegmentId = SegmentId(7);

    struct Rig {
        dir: tempfile::TempDir,
        faults: Arc<Faults>,
        receipts: Receipts,
        log: LogReader,
        producer: Producer,
    }

    impl Rig {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            for name in ["in", "tmp", "claimed", "archive"] {
                std::fs::create_dir(dir.path().join(name)).unwrap();
            }
            let (files, faults) = Faulty::new();
            let receipts = Receipts::open(Arc::new(OsFiles), dir.path(), &|_| Ok(false), NOON).unwrap();
            let (log, producer) = (LogReader::new(files.clone(), dir.path()), Producer::new(files, dir.path(), 1000));
            Self { dir, faults, receipts, log, producer }
        }

        fn file(&self) -> std::path::PathBuf {
            self.dir.path().join(format!("in/{}.ndjson", stem(TOKEN)))
        }

        /// A request with always the same key: whether it wrote.
        fn ask(&self) -> Result<bool, ProduceError> {
            let once = Once { receipts: &self.receipts, log: &self.log, producer: &self.producer, now: NOON };
            let (key, body) = (hash(&[b"k"]), hash(&[b"b"]));
            match once.begin(key, body, TOKEN)? {
                Next::Write(token) => {
                    let event: &[u8] = b"{\"type\":\"a.b\",\"data\":1}";
                    let written = self.producer.drop_finished(&stem(token), &[event], true).map(drop);
                    once.end(&key, written).map(|()| true)
                }
                Next::Done(TOKEN) => Ok(false),
                other => panic!("{other:?}"),
            }
        }
    }

    fn take(path: &Path) {
        OsFiles.unlink(path).unwrap();
    }

    #[test]
    fn a_file_whose_name_could_not_be_made_durable_is_never_written_twice() {
        for is_taken in [false, true] {
            let rig = Rig::new();
            rig.faults.set(Some(("sync_dir", "/in")));
            assert!(matches!(rig.ask(), Err(ProduceError::NotDurable { .. })));
            assert!(rig.file().exists());
            // The engine may have read it since, and retention may have removed it.
            if is_taken {
                take(&rig.file());
            }
            assert!(rig.ask().is_err(), "it is still not durable");
            rig.faults.set(None);
            assert!(!rig.ask().unwrap() && !rig.ask().unwrap());
            assert_eq!(rig.file().exists(), !is_taken);
        }
    }

    #[test]
    fn what_failed_before_it_had_a_name_is_written_by_a_repeat() {
        for fault in [("append", "/tmp/"), ("sync_data", "/tmp/"), ("rename_new", "/tmp/")] {
            let rig = Rig::new();
            rig.faults.set(Some(fault));
            assert!(matches!(rig.ask(), Err(ProduceError::Io { .. })), "{fault:?}");
            assert!(!rig.file().exists());
            rig.faults.set(None);
            assert!(rig.ask().unwrap(), "{fault:?}");
            take(&rig.file());
            assert!(!rig.ask().unwrap(), "{fault:?}: it was read, and is not written again");
        }
    }
}
