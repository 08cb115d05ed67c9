//! Whole runs over real files, with time moved by hand and a journal kept in memory.

#![expect(clippy::disallowed_methods, reason = "the tests play producers, who do not go through our seams")]

mod bad_lines;
mod faults;
mod logs;
mod lookups;
mod model;
mod restarts;
mod retiring;
mod room;
mod spool;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::env::{Files, OsFiles, ignore_lease_signal};
use crate::model::{Event, Extent, SegmentId, Seq, Timestamp};

/// What the journal of an engine would hold.
#[derive(Default)]
struct Journal {
    next_seq: Seq,
    extents: Vec<Extent>,
    events: Vec<Event>,
    cursors: BTreeMap<(String, u64, u64), LogCursor>,
}

impl Journal {
    /// Commits a batch, checking what every batch promises.
    fn commit(&mut self, batch: Batch) {
        let mut events = batch.events.into_iter();
        for extent in batch.extents {
            let known = self.consumed().get(&extent.segment).copied().unwrap_or(0);
            assert_eq!(extent.start, known, "extents of a segment touch");
            assert_eq!(extent.first_seq, self.next_seq, "numbers are dense");
            assert!(extent.end > extent.start && extent.lines() > 0);
            assert!(extent.quarantined == 0 || (extent.quarantined, extent.events, extent.blank) == (1, 0, 0));
            for _ in 0..extent.events {
                let event = events.next().expect("as many events as the extents say");
                assert_eq!(event.seq, self.next_seq);
                assert!((extent.start..extent.end).contains(&event.position.offset));
                self.next_seq += 1;
                self.events.push(event);
            }
            self.extents.push(extent);
        }
        assert!(events.next().is_none());
        for cursor in batch.log_cursors {
            let (log, dev, ino) = cursor.key();
            let key = (log.to_owned(), dev, ino);
            if cursor.finished {
                self.cursors.remove(&key)
            } else {
                self.cursors.insert(key, cursor)
            };
        }
    }

    fn consumed(&self) -> HashMap<SegmentId, u64> {
        self.extents.iter().map(|extent| (extent.segment, extent.end)).collect()
    }

    fn resume(&self) -> Resume {
        Resume {
            next_seq: self.next_seq,
            consumed: self.consumed(),
            log_cursors: self.cursors.values().cloned().collect(),
            last_segment: self.extents.iter().map(|extent| extent.segment).max(),
            lost: None,
        }
    }
}

/// A spool in a directory of its own.
struct Rig {
    dir: tempfile::TempDir,
    settings: IngestSettings,
    files: Arc<dyn Files>,
    now: Timestamp,
    ingest: Option<Ingest>,
    journal: Journal,
}

impl Rig {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut IngestSettings)) -> Self {
        ignore_lease_signal();
        let dir = tempfile::tempdir().unwrap();
        let mut settings = IngestSettings::new(dir.path().join("spool"));
        settings.seed = 7;
        fs::create_dir(dir.path().join("logs")).unwrap();
        change(&mut settings);
        let mut rig = Self {
            dir,
            settings,
            files: Arc::new(OsFiles),
            now: Timestamp(1_773_309_600_000),
            ingest: None,
            journal: Journal { next_seq: 1, ..Journal::default() },
        };
        rig.restart();
        rig
    }

    fn with_log(pattern: &str) -> Self {
        let mut rig = Self::new();
        let log = LogSettings { name: "erp".into(), dir: rig.logs(), pattern: pattern.into() };
        rig.settings.logs.push(log);
        rig.restart();
        rig
    }

    fn spool(&self) -> PathBuf {
        self.settings.dir.clone()
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn inbox(&self, name: &str) -> PathBuf {
        self.spool().join("in").join(name)
    }

    fn ingest(&mut self) -> &mut Ingest {
        self.ingest.as_mut().expect("open")
    }

    fn restart(&mut self) {
        self.ingest = None;
        let opened = Ingest::open(self.settings.clone(), Arc::clone(&self.files), self.journal.resume(), self.now);
        self.ingest = Some(opened.unwrap());
    }

    /// One tick whose batches are committed.
    fn tick(&mut self) -> Next {
        let now = self.now;
        let tick = self.ingest().tick(now).unwrap();
        for batch in tick.batches {
            self.journal.commit(batch);
        }
        tick.next
    }

    /// Lets `by` pass in steps, working all the while.
    fn run(&mut self, by: Duration) {
        let end = self.now.plus(by);
        loop {
            while self.tick() == Next::Now {}
            if self.now >= end {
                return;
            }
            self.now = self.now.plus(Duration::from_millis(250)).min(end);
        }
    }

    /// Long enough to claim, read and seal.
    fn settle(&mut self) {
        self.run(Duration::from_secs(4));
    }

    /// The `data` of all events in the order they were taken in.
    fn data(&self) -> Vec<String> {
        self.journal.events.iter().map(|event| String::from_utf8_lossy(event.data()).into_owned()).collect()
    }

    fn quarantined(&self) -> Vec<QuarantineEntry> {
        Quarantine::new(Arc::clone(&self.files), &self.spool()).list().unwrap()
    }

    fn reasons(&self) -> Vec<String> {
        self.quarantined().into_iter().map(|entry| entry.reason).collect()
    }

    fn problem_kinds(&mut self) -> Vec<ProblemKind> {
        self.ingest().problems().into_iter().map(|problem| problem.kind).collect()
    }

    fn claimed(&self) -> usize {
        fs::read_dir(self.spool().join("claimed")).unwrap().count()
    }
}

fn event(data: impl std::fmt::Display) -> String {
    format!(r#"{{"type":"test.happened","data":{data}}}"#)
}

fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| event(n) + "\n").collect()
}

fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| n.to_string()).collect()
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    appender(path).write_all(text.as_ref()).unwrap();
}

fn appender(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}
