//! A file system that fails: waiting where it may pass, stopping where it must not go on.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::env::{AppendFile, DirEntry, ReadFile, Stat, Writers};

/// Which calls fail now, by name and by a part of the path.
#[derive(Default)]
struct Faults {
    failing: Mutex<Option<(&'static str, &'static str)>>,
}

impl Faults {
    fn set(&self, fault: Option<(&'static str, &'static str)>) {
        *self.failing.lock().unwrap() = fault;
    }

    fn check(&self, call: &str, path: &Path) -> io::Result<()> {
        match *self.failing.lock().unwrap() {
            Some((failing, part)) if failing == call && path.to_string_lossy().contains(part) => {
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            _ => Ok(()),
        }
    }
}

struct Faulty {
    faults: Arc<Faults>,
    files: OsFiles,
}

struct FaultyFile<F: ?Sized> {
    faults: Arc<Faults>,
    path: PathBuf,
    file: Box<F>,
}

impl ReadFile for FaultyFile<dyn ReadFile> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.check("read_at", &self.path)?;
        let short = buffer.len().min(7);
        self.file.read_at(&mut buffer[..short], offset)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.check("sync_data", &self.path)?;
        self.file.sync_data()
    }

    fn writers(&self) -> Writers {
        self.file.writers()
    }
}

impl AppendFile for FaultyFile<dyn AppendFile> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.faults.check("append", &self.path) {
            self.file.append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.append(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.faults.check("sync_data", &self.path)?;
        self.file.sync_data()
    }
}

impl Faulty {
    fn appending(&self, path: &Path, file: Box<dyn AppendFile>) -> Box<dyn AppendFile> {
        Box::new(FaultyFile { faults: Arc::clone(&self.faults), path: path.to_owned(), file })
    }
}

impl Files for Faulty {
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.faults.check("list", dir)?;
        self.files.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.files.stat(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.faults.check("open", path)?;
        let file = self.files.open(path)?;
        Ok(Box::new(FaultyFile { faults: Arc::clone(&self.faults), path: path.to_owned(), file }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(self.appending(path, self.files.create(path)?))
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        Ok(self.appending(path, self.files.append_to(path)?))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.files.truncate(path, len)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.check("rename_new", from)?;
        self.files.rename_new(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.files.unlink(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.faults.check("sync_dir", dir)?;
        self.files.sync_dir(dir)
    }

    fn create_dirs(&self, dir: &Path, mode: u32) -> io::Result<()> {
        self.files.create_dirs(dir, mode)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.files.free_bytes(path)
    }
}

fn faulty(mut rig: Rig) -> (Rig, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    rig.files = Arc::new(Faulty { faults: Arc::clone(&faults), files: OsFiles });
    rig.restart();
    (rig, faults)
}

#[test]
fn troubles_that_pass_are_waited_out() {
    let faults = [
        ("list", "/in"),
        ("open", "/in/"),
        ("rename_new", "/in/"),
        ("open", "/claimed/"),
        ("read_at", "/claimed/"),
        ("append", "/quarantine/"),
    ];
    for fault in faults {
        let (mut rig, switch) = faulty(Rig::new());
        append(&rig.inbox("a.ndjson"), lines(0, 2) + "bad\n" + &lines(2, 4));
        switch.set(Some(fault));
        rig.run(Duration::from_secs(30));
        assert!(rig.problem_kinds().contains(&ProblemKind::Unreadable), "{fault:?}");
        let is_in_our_hands = fault.1 != "/in/";
        assert_eq!(rig.ingest().is_drained(), !is_in_our_hands, "{fault:?}");
        switch.set(None);
        rig.run(Duration::from_secs(10));
        assert_eq!((rig.data(), rig.reasons()), (numbers(0, 4), vec!["invalid_json".to_owned()]), "{fault:?}");
        assert_eq!(rig.problem_kinds(), [], "{fault:?}");
    }
}

#[test]
fn a_failed_sync_stops_everything_till_the_spool_is_opened_again() {
    for fault in [("sync_data", "/claimed/"), ("sync_dir", "/claimed"), ("sync_data", "/quarantine/")] {
        let (mut rig, switch) = faulty(Rig::new());
        append(&rig.inbox("a.ndjson"), lines(0, 2) + "bad\n" + &lines(2, 4));
        switch.set(Some(fault));
        let now = rig.now;
        assert!(matches!(rig.ingest().tick(now), Err(IngestError::Durability { .. })), "{fault:?}");
        switch.set(None);
        assert!(matches!(rig.ingest().tick(now), Err(IngestError::Stopped)), "a later success means nothing");
        rig.restart();
        rig.settle();
        assert_eq!((rig.data(), rig.quarantined().len()), (numbers(0, 4), 1), "{fault:?}");
    }
}

#[test]
fn a_copy_that_fails_half_way_is_done_again() {
    let (mut rig, switch) = faulty(Rig::with_log("*.ndjson"));
    append(&rig.logs().join("a.ndjson"), lines(0, 2));
    rig.settle();
    switch.set(Some(("append", "/claimed/")));
    append(&rig.logs().join("a.ndjson"), lines(2, 4));
    rig.run(Duration::from_secs(10));
    assert_eq!(rig.data(), numbers(0, 2));
    assert!(rig.problem_kinds().contains(&ProblemKind::Unreadable));
    switch.set(None);
    rig.run(Duration::from_secs(10));
    assert_eq!((rig.data(), rig.problem_kinds()), (numbers(0, 4), vec![]));
}
