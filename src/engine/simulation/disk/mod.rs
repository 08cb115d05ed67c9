//! A file system that keeps what is live and what is durable apart.
//!
//! ```text
//!   file        bytes 0..durable survive a power cut; of the rest any prefix does, sometimes as zeros
//!   directory   create, rename, unlink, mkdir wait in `pending` until their directory is synced;
//!               a power cut keeps any subset of what waits. A rename is atomic.
//! ```
//!
//! The process may die at any operation that changes something, in the middle of an append too; operations fail on order.

mod calls;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::faults::{Call, Fault};
use crate::env::{FileKind, Stat};

/// What unwinds when the process dies.
pub struct Died;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Dir,
    /// Index into the inodes.
    File(usize),
}

#[derive(Debug, Default)]
struct Inode {
    /// Used again once the file is gone, as ext4 does.
    number: u64,
    data: Vec<u8>,
    durable: usize,
    /// A sync failed: these bytes never reached the disk, though the cache shows them and a later sync succeeds.
    hole: Option<(usize, usize)>,
    writers: u32,
    links: u32,
    mtime_ns: i128,
}

/// A change of names that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Change {
    fn touches(&self, dir: &Path) -> bool {
        self.paths().any(|path| path.parent() == Some(dir))
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let (first, second) = match self {
            Self::Put(path, _) | Self::Remove(path) => (path, None),
            Self::Rename(from, to, _) => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }
}

/// The disk as it is now, or as a power cut would leave it.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    Live,
    Durable,
}

type Names = BTreeMap<PathBuf, BTreeMap<OsString, Node>>;

#[derive(Default)]
struct Inner {
    inodes: Vec<Inode>,
    freed: Vec<u64>,
    live: Names,
    durable: Names,
    pending: Vec<Change>,
    now_ns: i128,
    /// The process dies at the operation that brings this to zero.
    dies_in: Option<u32>,
    dead: bool,
    fault: Option<Fault>,
    /// Bytes that can still be appended.
    room: Option<u64>,
    /// Syncs of files whose path holds this are not done: a deliberate mistake.
    unsynced: Option<&'static str>,
    had_holes: bool,
    hides_sync_errors: bool,
    hides_writers: bool,
}

/// The disk of one machine.
#[derive(Default)]
pub struct Disk(Mutex<Inner>);

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn split(path: &Path) -> (&Path, OsString) {
    (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default().to_owned())
}

impl Inner {
    fn names(&self, which: Which) -> &Names {
        match which {
            Which::Live => &self.live,
            Which::Durable => &self.durable,
        }
    }

    fn node(&self, path: &Path) -> Option<Node> {
        if path.parent().is_none() {
            return Some(Node::Dir);
        }
        let (dir, name) = split(path);
        self.live.get(dir)?.get(&name).copied()
    }

    fn inode_of(&self, path: &Path) -> io::Result<usize> {
        match self.node(path) {
            Some(Node::File(index)) => Ok(index),
            Some(Node::Dir) => Err(error(libc::EISDIR)),
            None => Err(error(libc::ENOENT)),
        }
    }

    fn stat(&self, node: Node) -> Stat {
        let (kind, len, ino, nlink, mtime_ns) = match node {
            Node::Dir => (FileKind::Directory, 0, 1, 2, 0),
            Node::File(index) => {
                let inode = &self.inodes[index];
                (FileKind::Regular, inode.data.len() as u64, inode.number, u64::from(inode.links), inode.mtime_ns)
            }
        };
        Stat { kind, len, dev: 1, ino, nlink, uid: 0, mtime_ns }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    fn unlinked(&mut self, node: Node) {
        if let Node::File(index) = node {
            let inode = &mut self.inodes[index];
            inode.links -= 1;
            if inode.links == 0 && inode.writers == 0 {
                self.freed.push(inode.number);
            }
        }
    }

    /// Makes the pending changes that `which` picks durable, in order. What they supersede goes with them.
    fn settle(&mut self, mut which: impl FnMut(&Change) -> bool) {
        let mut rest: Vec<Change> = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            if which(&change) {
                rest.retain(|earlier| !earlier.paths().any(|path| change.paths().any(|own| own == path)));
                apply(&mut self.durable, &change);
            } else {
                rest.push(change);
            }
        }
        self.pending = rest;
    }
}

/// A name in a directory that does not exist is not reachable: it is left out.
fn apply(names: &mut Names, change: &Change) {
    let put = |names: &mut Names, path: &Path, node| {
        let (dir, name) = split(path);
        names.entry(dir.to_owned()).or_default().insert(name, node);
    };
    let remove = |names: &mut Names, path: &Path| {
        let (dir, name) = split(path);
        names.get_mut(dir).and_then(|dir| dir.remove(&name));
    };
    match change {
        Change::Put(path, node) => put(names, path, *node),
        Change::Remove(path) => remove(names, path),
        Change::Rename(from, to, node) => {
            remove(names, from);
            put(names, to, *node);
        }
    }
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An operation of the engine that changes something begins: it may be its last. Returns whether it is to fail.
    fn enter(&self, call: Call, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        if let Some(left) = &mut inner.dies_in {
            *left -= 1;
            inner.dead |= *left == 0;
        }
        if inner.dead {
            drop(inner);
            std::panic::resume_unwind(Box::new(Died));
        }
        match &mut inner.fault {
            Some(fault) => fault.meet(call, path),
            None => Ok(()),
        }
    }

    /// As [`enter`](Self::enter), for what only reads.
    fn look(&self, call: Call, path: &Path) -> io::Result<()> {
        self.lock().fault.as_mut().map_or(Ok(()), |fault| fault.meet(call, path))
    }

    /// The view's tree changes: the process may die there too.
    pub fn enter_tree(&self) {
        self.enter(Call::Tree, Path::new("")).ok();
    }

    /// Lets the process die at the `count`-th operation from now on.
    pub fn die_in(&self, count: Option<u32>) {
        self.lock().dies_in = count;
    }

    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// A fault is still to come, or room is short.
    pub fn is_troubled(&self) -> bool {
        let inner = self.lock();
        inner.room.is_some() || inner.fault.as_ref().is_some_and(Fault::is_to_come)
    }

    pub fn set_room(&self, room: Option<u64>) {
        self.lock().room = room;
    }

    pub fn room(&self) -> Option<u64> {
        self.lock().room
    }

    pub fn set_time(&self, ms: i64) {
        self.lock().now_ns = i128::from(ms) * 1_000_000;
    }

    pub fn omit_syncs_of(&self, part: Option<&'static str>) {
        self.lock().unsynced = part;
    }

    /// Failed syncs are reported as good ones: a deliberate mistake.
    pub fn hide_sync_errors(&self) {
        self.lock().hides_sync_errors = true;
    }

    /// Nobody ever seems to write: a deliberate mistake.
    pub fn hide_writers(&self) {
        self.lock().hides_writers = true;
    }

    /// Removes everything below `dir`, and `dir`.
    pub fn wipe(&self, dir: &Path) {
        let mut inner = self.lock();
        let change = Change::Remove(dir.to_owned());
        inner.pending.retain(|change| !change.paths().any(|path| path.starts_with(dir)));
        for live in [true, false] {
            let names = if live { &mut inner.live } else { &mut inner.durable };
            apply(names, &change);
            names.retain(|path, _| !path.starts_with(dir));
        }
    }

    /// A new process runs on this disk.
    pub fn revive(&self) {
        let mut inner = self.lock();
        inner.dead = false;
        inner.dies_in = None;
    }

    /// The power goes and comes back: what was not durable is gone, or some of it is.
    pub fn lose_power(&self, random: &mut fastrand::Rng) {
        let mut inner = self.lock();
        let keep_all = random.u8(..) < 32;
        inner.settle(|_| keep_all || random.bool());
        inner.pending.clear();
        // What lies in a directory that was lost is lost with it.
        let mut names = Names::new();
        let mut reachable = vec![PathBuf::from("/")];
        while let Some(dir) = reachable.pop() {
            let entries = inner.durable.get(&dir).cloned().unwrap_or_default();
            reachable.extend(entries.iter().filter(|entry| *entry.1 == Node::Dir).map(|entry| dir.join(entry.0)));
            names.insert(dir, entries);
        }
        inner.live = names.clone();
        inner.durable = names;
        for inode in &mut inner.inodes {
            let kept = random.usize(inode.durable..=inode.data.len());
            inode.data.truncate(kept);
            if random.u8(..) < 40 {
                let from = inode.durable;
                inode.data[from..].fill(0);
            }
            if let Some((from, to)) = inode.hole.take() {
                let to = to.min(kept);
                inode.data[from.min(to)..to].fill(0);
            }
            inode.durable = kept;
            inode.writers = 0;
            inode.links = 0;
        }
        let files: Vec<usize> = inner
            .live
            .values()
            .flat_map(BTreeMap::values)
            .filter_map(|node| if let Node::File(index) = node { Some(*index) } else { None })
            .collect();
        files.into_iter().for_each(|index| inner.inodes[index].links += 1);
    }

    /// The cache forgets what never reached the disk.
    pub fn forget_cached(&self, index: usize) {
        let mut inner = self.lock();
        let inode = &mut inner.inodes[index];
        if let Some((from, to)) = inode.hole.take() {
            let to = to.min(inode.data.len());
            inode.data[from.min(to)..to].fill(0);
        }
    }

    /// Whether a failed sync has dropped bytes.
    pub fn had_holes(&self) -> bool {
        self.lock().had_holes
    }

    /// Whether `bytes` are at `offset`, behind what a hole left there, (or anywhere) of the file in `dir` whose name begins with
    /// `prefix`.
    pub fn holds(&self, dir: &Path, prefix: &str, offset: Option<usize>, bytes: &[u8], which: Which) -> bool {
        let inner = self.lock();
        let Some(entries) = inner.names(which).get(dir) else { return false };
        let found = entries.iter().find(|(name, _)| name.to_string_lossy().starts_with(prefix));
        let Some((_, Node::File(index))) = found else { return false };
        let inode = &inner.inodes[*index];
        let kept = match which {
            Which::Live => inode.data.len(),
            Which::Durable => inode.hole.map_or(inode.durable, |hole| hole.0.min(inode.durable)),
        };
        match offset {
            Some(offset) => {
                let line = inode.data[..kept].get(offset..).unwrap_or_default();
                line[line.iter().take_while(|byte| **byte == 0).count()..].starts_with(bytes)
            }
            None => memchr::memmem::find(&inode.data[..kept], bytes).is_some(),
        }
    }

    /// Bytes of the file in `dir` whose name begins with `prefix`.
    pub fn bytes_of(&self, dir: &Path, prefix: &str, range: std::ops::Range<usize>) -> Vec<u8> {
        let inner = self.lock();
        let entries = inner.live.get(dir);
        let found = entries.and_then(|names| names.iter().find(|(name, _)| name.to_string_lossy().starts_with(prefix)));
        match found {
            Some((_, Node::File(index))) => inner.inodes[*index].data.get(range).unwrap_or_default().to_vec(),
            _ => Vec::new(),
        }
    }

    /// The directories below `dir`.
    pub fn dirs_in(&self, dir: &Path, which: Which) -> Vec<PathBuf> {
        let inner = self.lock();
        let entries = inner.names(which).get(dir).into_iter().flatten();
        entries.filter(|(_, node)| **node == Node::Dir).map(|(name, _)| dir.join(name)).collect()
    }
}
