//! The calls on the disk, as the engine and the producers make them.

use std::io;
use std::path::Path;

use super::{Change, Disk, Inode, Node, apply, error};
use crate::engine::simulation::faults::Call;
use crate::env::{DirEntry, Stat};

/// The operations behind the handles; `engine`: the engine does it, so it may die or fail there.
impl Disk {
    pub fn list(&self, dir: &Path, engine: bool) -> io::Result<Vec<DirEntry>> {
        if engine {
            self.look(Call::List, dir)?;
        }
        let inner = self.lock();
        if inner.node(dir) != Some(Node::Dir) {
            return Err(error(libc::ENOENT));
        }
        let entries = inner.live.get(dir).into_iter().flatten();
        Ok(entries.map(|(name, node)| DirEntry { name: name.clone(), stat: inner.stat(*node) }).collect())
    }

    pub fn stat(&self, path: &Path) -> io::Result<Stat> {
        let inner = self.lock();
        inner.node(path).map(|node| inner.stat(node)).ok_or_else(|| error(libc::ENOENT))
    }

    pub fn open(&self, path: &Path, engine: bool) -> io::Result<usize> {
        if engine {
            self.look(Call::Open, path)?;
        }
        self.lock().inode_of(path)
    }

    pub fn create(&self, path: &Path, engine: bool) -> io::Result<usize> {
        if engine {
            self.enter(Call::Create, path)?;
        }
        let mut inner = self.lock();
        if inner.node(path).is_some() {
            return Err(error(libc::EEXIST));
        }
        if path.parent().and_then(|dir| inner.node(dir)) != Some(Node::Dir) {
            return Err(error(libc::ENOENT));
        }
        if inner.room == Some(0) {
            return Err(error(libc::ENOSPC));
        }
        let count = inner.inodes.len() as u64;
        let number = inner.freed.pop().unwrap_or(100 + count);
        let mtime_ns = inner.now_ns;
        inner.inodes.push(Inode { number, links: 1, writers: 1, mtime_ns, ..Inode::default() });
        let index = inner.inodes.len() - 1;
        inner.change(Change::Put(path.to_owned(), Node::File(index)));
        Ok(index)
    }

    pub fn open_for_writing(&self, path: &Path, engine: bool) -> io::Result<usize> {
        if engine {
            self.enter(Call::Open, path)?;
        }
        let mut inner = self.lock();
        let index = inner.inode_of(path)?;
        inner.inodes[index].writers += 1;
        Ok(index)
    }

    pub fn close_writer(&self, index: usize) {
        let mut inner = self.lock();
        let inode = &mut inner.inodes[index];
        inode.writers = inode.writers.saturating_sub(1);
    }

    pub fn has_writers(&self, index: usize) -> bool {
        {
            let inner = self.lock();
            inner.inodes[index].writers > 0 && !inner.hides_writers
        }
    }

    pub fn stat_inode(&self, index: usize) -> Stat {
        let inner = self.lock();
        inner.stat(Node::File(index))
    }

    pub fn read_at(
        &self,
        index: usize,
        path: &Path,
        buffer: &mut [u8],
        offset: u64,
        engine: bool,
    ) -> io::Result<usize> {
        if engine {
            self.look(Call::Read, path)?;
        }
        let inner = self.lock();
        let data = &inner.inodes[index].data;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let count = buffer.len().min(data.len() - from);
        buffer[..count].copy_from_slice(&data[from..from + count]);
        Ok(count)
    }

    pub fn append(&self, index: usize, path: &Path, bytes: &[u8], engine: bool) -> io::Result<()> {
        let torn = (bytes.len() * 7 + index * 3) % (bytes.len() + 1);
        let write = |count: usize| {
            let mut inner = self.lock();
            let now_ns = inner.now_ns;
            let inode = &mut inner.inodes[index];
            inode.data.extend_from_slice(&bytes[..count]);
            inode.mtime_ns = now_ns;
        };
        if engine {
            let about_to_die = self.lock().dies_in == Some(1);
            if about_to_die {
                write(torn);
            }
            self.enter(Call::Append, path).inspect_err(|_| write(torn))?;
        }
        let room = {
            let mut inner = self.lock();
            let room = inner.room.map(|room| usize::try_from(room).unwrap_or(usize::MAX));
            let taken = room.map_or(bytes.len(), |room| room.min(bytes.len()));
            inner.room = inner.room.map(|room| room - taken as u64);
            taken
        };
        write(room);
        if room < bytes.len() { Err(error(libc::ENOSPC)) } else { Ok(()) }
    }

    pub fn sync_data(&self, index: usize, path: &Path, engine: bool) -> io::Result<()> {
        let failed = if engine { self.enter(Call::Sync, path).err() } else { None };
        let mut inner = self.lock();
        let omitted = engine && inner.unsynced.is_some_and(|part| path.to_string_lossy().contains(part));
        let really = failed.is_none() || inner.fault.as_ref().is_some_and(|fault| fault.takes_effect);
        let inode = &mut inner.inodes[index];
        if really && !omitted {
            inode.durable = inode.data.len();
        } else if !really && inode.durable < inode.data.len() {
            // The kernel drops what it could not write, shows it nevertheless, and finds nothing to sync the next time.
            inode.hole = Some((inode.hole.map_or(inode.durable, |hole| hole.0), inode.data.len()));
            inode.durable = inode.data.len();
            inner.had_holes = true;
        }
        failed.filter(|_| !inner.hides_sync_errors).map_or(Ok(()), Err)
    }

    pub fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        self.enter(Call::Truncate, path)?;
        let mut inner = self.lock();
        let index = inner.inode_of(path)?;
        let inode = &mut inner.inodes[index];
        inode.data.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        inode.durable = inode.data.len();
        let len = inode.durable;
        inode.hole = inode.hole.filter(|hole| hole.0 < len);
        Ok(())
    }

    pub fn read(&self, path: &Path, engine: bool) -> io::Result<Vec<u8>> {
        if engine {
            self.look(Call::Read, path)?;
        }
        let inner = self.lock();
        let index = inner.inode_of(path)?;
        Ok(inner.inodes[index].data.clone())
    }

    pub fn rename(&self, from: &Path, to: &Path, may_replace: bool, engine: bool) -> io::Result<()> {
        if engine {
            self.enter(Call::Rename, from)?;
        }
        let mut inner = self.lock();
        let node = inner.node(from).ok_or_else(|| error(libc::ENOENT))?;
        if to.parent().and_then(|dir| inner.node(dir)) != Some(Node::Dir) {
            return Err(error(libc::ENOENT));
        }
        if let Some(replaced) = inner.node(to) {
            if !may_replace {
                return Err(error(libc::EEXIST));
            }
            inner.unlinked(replaced);
        }
        inner.change(Change::Rename(from.to_owned(), to.to_owned(), node));
        if node == Node::Dir {
            for names in [true, false] {
                let names = if names { &mut inner.live } else { &mut inner.durable };
                if let Some(entries) = names.remove(from) {
                    names.insert(to.to_owned(), entries);
                }
            }
        }
        Ok(())
    }

    pub fn unlink(&self, path: &Path, engine: bool) -> io::Result<()> {
        if engine {
            self.enter(Call::Unlink, path)?;
        }
        let mut inner = self.lock();
        let index = inner.inode_of(path)?;
        inner.unlinked(Node::File(index));
        inner.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    pub fn sync_dir(&self, dir: &Path, engine: bool) -> io::Result<()> {
        let failed = if engine { self.enter(Call::SyncDir, dir).err() } else { None };
        let mut inner = self.lock();
        let omitted = engine && inner.unsynced == Some("directories");
        let really = failed.is_none() || inner.fault.as_ref().is_some_and(|fault| fault.takes_effect);
        if really && !omitted {
            inner.settle(|change| change.touches(dir));
        }
        failed.map_or(Ok(()), Err)
    }

    /// Directories are durable once made: making one syncs the one above.
    pub fn create_dirs(&self, dir: &Path) {
        let mut inner = self.lock();
        for dir in dir.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|dir| dir.parent().is_some()) {
            if inner.node(dir).is_none() {
                let change = Change::Put(dir.to_owned(), Node::Dir);
                apply(&mut inner.live, &change);
                apply(&mut inner.durable, &change);
            }
        }
    }
}
