//! The machine we run on, as small seams with their real versions: the only room that reads a clock, touches a file or
//! calls the kernel by name. A simulation replaces both traits.

mod clock;
#[cfg(test)]
pub mod faulty;
mod files;
mod process;
mod replace;
mod sys;

pub use clock::{Clock, ManualClock, SteadyTime, SystemClock};
pub use files::{AppendFile, DirEntry, FileKind, FileLock, Files, OsFiles, ReadFile, Space, Stat, Writers};
pub use process::ProcessUse;
pub use replace::replace;
pub use sys::{ignore_lease_signal, open_files_limit, raise_open_files};
