//! One operation of the file system that fails when it is met for the n-th time.

use std::io;
use std::path::Path;

/// The kinds of calls that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    List,
    Open,
    Read,
    Create,
    Append,
    Sync,
    SyncDir,
    Rename,
    Unlink,
    Truncate,
    Tree,
}

/// What may fail, and how.
pub const KINDS: [(Call, i32); 14] = [
    (Call::List, libc::EIO),
    (Call::Open, libc::EMFILE),
    (Call::Read, libc::EIO),
    (Call::Create, libc::ENOSPC),
    (Call::Create, libc::EMFILE),
    (Call::Append, libc::ENOSPC),
    (Call::Append, libc::EIO),
    (Call::Append, libc::EDQUOT),
    (Call::Sync, libc::EIO),
    (Call::Sync, libc::ENOSPC),
    (Call::SyncDir, libc::EIO),
    (Call::Rename, libc::EIO),
    (Call::Unlink, libc::EACCES),
    (Call::Rename, libc::EROFS),
];

/// A fault that waits for its call.
#[derive(Clone, Debug)]
pub struct Fault {
    call: Call,
    code: i32,
    /// Calls of its kind that still succeed.
    after: u32,
    /// Calls that fail from then on.
    times: u32,
    /// The operation is done, and yet reported as failed.
    pub takes_effect: bool,
    pub fired: bool,
}

impl Fault {
    pub fn drawn(random: &mut fastrand::Rng) -> Self {
        let (call, code) = KINDS[random.usize(..KINDS.len())];
        Self {
            call,
            code,
            after: random.u32(..12),
            times: if random.bool() { 1 } else { random.u32(1..6) },
            takes_effect: random.bool(),
            fired: false,
        }
    }

    pub fn is_to_come(&self) -> bool {
        self.times > 0
    }

    /// A call happens: whether it fails.
    pub fn meet(&mut self, call: Call, _path: &Path) -> io::Result<()> {
        if call != self.call || self.times == 0 {
            return Ok(());
        }
        if self.after > 0 {
            self.after -= 1;
            return Ok(());
        }
        self.times -= 1;
        self.fired = true;
        Err(io::Error::from_raw_os_error(self.code))
    }
}
