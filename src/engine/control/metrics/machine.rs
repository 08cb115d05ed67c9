//! The machine's part of the page: what the process uses, and what is left on disk.

use std::path::Path;

use crate::engine::running::Shared;
use crate::env::{FileKind, Files, ProcessUse};
use crate::metrics::{Kind, Page};

pub fn render(shared: &Shared, page: &mut Page) {
    let used = ProcessUse::now().unwrap_or_default();
    let started_s = shared.started_at.0 as f64 / 1000.0;
    page.single("process_cpu_seconds_total", Kind::Counter, "CPU time of the process.", used.cpu_seconds);
    let mut gauge = |name, help, value| page.single(name, Kind::Gauge, help, value);
    gauge("process_start_time_seconds", "When the process started, since the epoch.", started_s);
    gauge("process_resident_memory_bytes", "Memory that is resident.", used.resident_bytes as f64);
    gauge("process_virtual_memory_bytes", "Memory that is mapped.", used.virtual_bytes as f64);
    gauge("process_open_fds", "Open files.", used.open_files as f64);
    gauge("process_max_fds", "Open files at most.", used.open_files_max as f64);
    gauge("process_threads", "Threads.", used.threads as f64);

    let config = shared.config();
    let files = &*shared.state.files;
    let size = size_of(files, &config.state.dir);
    page.single("spoolhook_state_size_bytes", Kind::Gauge, "Journal, view and checkpoints on disk.", size as f64);
    let dirs = [("state", &config.state.dir), ("spool", &config.spool.dir)];
    let spaces = dirs.map(|(name, dir)| (name, files.space(dir).ok()));
    let known = || spaces.iter().filter_map(|(name, space)| Some((*name, (*space)?)));
    let mut family = page.family("spoolhook_disk_free_bytes", Kind::Gauge, "Bytes left for us on the file system.");
    known().for_each(|(name, space)| family.put_count(&[("dir", name)], space.free_bytes));
    let mut family = page.family("spoolhook_disk_size_bytes", Kind::Gauge, "Size of the file system.");
    known().for_each(|(name, space)| family.put_count(&[("dir", name)], space.total_bytes));
}

/// Bytes of all files below `dir`; what cannot be listed counts nothing.
fn size_of(files: &dyn Files, dir: &Path) -> u64 {
    let entries = files.list(dir).unwrap_or_default();
    let size = |entry: &crate::env::DirEntry| match entry.stat.kind {
        FileKind::Regular => entry.stat.len,
        FileKind::Directory => size_of(files, &dir.join(&entry.name)),
        FileKind::Symlink | FileKind::Other => 0,
    };
    entries.iter().map(size).sum()
}
