//! The key-value store beneath the view, as little of it as the view needs. The real one is sled; a test double keeps what
//! was synced apart from what was not.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use crossbeam_channel::bounded;

use super::view::ViewError;
use crate::env::Files;

const CACHE_BYTES: u64 = 32 << 20;
const LOCK_WAIT: Duration = Duration::from_millis(5);
const LOCK_WAITS_MAX: u32 = 400;
/// What sled says when somebody holds its lock.
const LOCKED: &str = "could not acquire lock";

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);
/// Pairs in the order of their keys.
pub type Pairs = Box<dyn Iterator<Item = Result<Pair, ViewError>> + Send>;

/// Puts (`Some`) and removals (`None`), applied together.
#[derive(Debug, Default)]
pub struct Batch(pub Vec<(Vec<u8>, Option<Vec<u8>>)>);

impl Batch {
    pub fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push((key.into(), Some(value.into())));
    }

    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.0.push((key.into(), None));
    }
}

/// An ordered map of small values.
pub trait Tree: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;
    /// Every pair whose key begins with `prefix`.
    fn scan(&self, prefix: &[u8]) -> Pairs;
    /// Those of them from the key `from` on, which begins with `prefix` too.
    fn scan_from(&self, prefix: &[u8], from: &[u8]) -> Pairs {
        let from = from.to_vec();
        let is_before = move |item: &Result<Pair, ViewError>| item.as_ref().is_ok_and(|(key, _)| *key < from);
        Box::new(self.scan(prefix).skip_while(is_before))
    }
    /// Applies a batch: all of it or nothing, durable or not.
    fn apply(&self, batch: Batch) -> Result<(), ViewError>;
    /// Makes everything applied so far durable.
    fn sync(&self) -> Result<(), ViewError>;
}

/// Where trees lie.
pub trait Trees {
    /// Opens the tree at `path`, or says why not.
    fn open(&self, files: &dyn Files, path: &Path) -> Result<Arc<dyn Tree>, ViewError>;
}

/// Trees on disk.
pub struct SledTrees;

struct SledTree {
    db: sled::Db,
    /// sled's flush is no fsync: this descriptor is for our own.
    file: File,
    path: PathBuf,
}

impl Trees for SledTrees {
    fn open(&self, files: &dyn Files, path: &Path) -> Result<Arc<dyn Tree>, ViewError> {
        let io_error = |source| ViewError::Io { path: path.to_owned(), source };
        remove_half_snapshots(files, path).map_err(io_error)?;
        let db = open_sled(path)?;
        let file = File::open(path.join("db")).map_err(io_error)?;
        Ok(Arc::new(SledTree { db, file, path: path.to_owned() }))
    }
}

impl Tree for SledTree {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.db.get(key).map_err(failed(&self.path))?.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8]) -> Pairs {
        let path = self.path.clone();
        Box::new(self.db.scan_prefix(prefix).map(move |item| {
            let (key, value) = item.map_err(failed(&path))?;
            Ok((key.to_vec(), value.to_vec()))
        }))
    }

    fn scan_from(&self, prefix: &[u8], from: &[u8]) -> Pairs {
        let (path, prefix) = (self.path.clone(), prefix.to_vec());
        let pairs = self.db.range(from.to_vec()..).map(move |item| {
            let (key, value) = item.map_err(failed(&path))?;
            Ok((key.to_vec(), value.to_vec()))
        });
        let is_within =
            move |item: &Result<Pair, ViewError>| item.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix));
        Box::new(pairs.take_while(is_within))
    }

    fn apply(&self, batch: Batch) -> Result<(), ViewError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch.0 {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.db.apply_batch(changes).map_err(failed(&self.path))
    }

    fn sync(&self) -> Result<(), ViewError> {
        self.db.flush().map_err(failed(&self.path))?;
        self.file.sync_data().map_err(|source| ViewError::Sync { path: self.path.clone(), source })
    }
}

fn failed(path: &Path) -> impl FnOnce(sled::Error) -> ViewError + '_ {
    |error| match error {
        sled::Error::Io(source) => ViewError::Io { path: path.to_owned(), source },
        other => ViewError::Sled(other),
    }
}

fn open_sled(path: &Path) -> Result<sled::Db, ViewError> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let mut waits = 0;
    loop {
        match catch(|| config.open()) {
            // The state's own lock keeps others out: this is a handle of ours that sled's threads have not let go of yet.
            Ok(Err(sled::Error::Io(error))) if error.to_string().contains(LOCKED) && waits < LOCK_WAITS_MAX => {
                let (_silent, silence) = bounded::<()>(0);
                let _ = silence.recv_timeout(LOCK_WAIT);
                waits += 1;
            }
            Ok(opened) => return opened.map_err(failed(path)),
            Err(reason) => return Err(ViewError::Open { path: path.to_owned(), reason }),
        }
    }
}

/// Whether nobody has the tree at `path` open. Its threads let go of its file a moment after the last handle is dropped.
pub fn is_released(path: &Path) -> bool {
    match File::open(path.join("db")) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`, which may meet damage that sled answers with a panic. Such a panic is an answer like any other: it is
/// returned, and not printed. sled's own threads die quietly too; whoever waits for them gets an error.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_sleds = std::thread::current().name().is_some_and(|name| name.starts_with("sled-"));
            if is_sleds || EXPECTED.get() {
                tracing::debug!(%panic, "sled panicked");
            } else {
                usual(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(false);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "it panicked".to_owned())
    })
}

fn remove_half_snapshots(files: &dyn Files, path: &Path) -> io::Result<()> {
    match files.list(path) {
        Ok(entries) => {
            for entry in entries {
                if entry.name.to_string_lossy().ends_with(".generating") {
                    files.unlink(&path.join(&entry.name))?;
                }
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
