//! The kernel calls that the standard library does not wrap. `fcntl(F_SETLEASE)` is the one piece of `unsafe` in the
//! crate: no safe wrapper for it exists.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{Advice, CWD, FallocateFlags, RenameFlags};
use rustix::process::{Resource, Rlimit};

use super::{Space, Writers};

/// Flags for opening a name that somebody else may have made: no symbolic links, no waiting on a FIFO.
pub(super) const OPEN_SAFELY: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;

pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from)
}

pub(super) fn space(path: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        // btrfs and others make inodes as they need them and say 0 of 0.
        free_files: if stat.f_files == 0 { u64::MAX } else { stat.f_favail },
    })
}

/// Reserves `len` bytes of disk for `file` from `offset` on, which may lie behind its end.
pub(super) fn hold_room(file: &File, offset: u64, len: u64) -> io::Result<()> {
    rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, offset, len).map_err(io::Error::from)
}

/// Drops the clean pages of `file` from the page cache (posix_fadvise(2), `POSIX_FADV_DONTNEED`).
pub(super) fn forget_cached(file: &File) -> io::Result<()> {
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).map_err(io::Error::from)
}

/// Takes and drops a read lease. The kernel grants it only while no descriptor and no writable mapping of the file
/// exists that could write (fcntl(2), "Leases").
#[expect(unsafe_code, reason = "no safe wrapper for F_SETLEASE exists")]
pub(super) fn writers(file: &File) -> Writers {
    let fd = file.as_raw_fd();
    // SAFETY: `fd` is open for the whole call and F_SETLEASE takes an integer, no pointer.
    let granted = unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) };
    if granted == 0 {
        // SAFETY: as above.
        unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) };
        return Writers::None;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Writers::Some,
        _ => Writers::Unknown,
    }
}

/// Makes a broken lease harmless: by default the signal that announces one would end the process.
#[expect(unsafe_code, reason = "no safe wrapper without a signal crate, and SIG_IGN runs no code of ours")]
pub fn ignore_lease_signal() {
    // SAFETY: SIG_IGN installs no handler, so nothing of ours runs in signal context.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
}

/// How many descriptors the process may have; `None` without a bound.
pub fn open_files_limit() -> Option<u64> {
    rustix::process::getrlimit(Resource::Nofile).current
}

/// So many descriptors nobody needs, and a loop over all that could be open still ends soon.
const OPEN_FILES_MAX: u64 = 65_536;

/// Raises the limit of open files as far as we may by ourselves, for this process and its children.
pub fn raise_open_files() -> io::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES_MAX, |maximum| maximum.min(OPEN_FILES_MAX));
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, raised).map_err(io::Error::from)
}
