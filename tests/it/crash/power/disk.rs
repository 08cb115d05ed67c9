//! An ext4 file system in a file, and the cut of its power.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::wait_until;

const BYTES: u64 = 96 << 20;
/// How long somebody may still hold a file of it.
const RELEASE: Duration = Duration::from_secs(20);
/// `FS_IOC_SHUTDOWN` with `NOLOGFLUSH`: nothing is written any more, not even the file system's journal. Waits for a line,
/// so that it happens at the moment it is told.
const CUT: &str = r#"
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
print("ready", flush=True)
if sys.stdin.readline():
    fcntl.ioctl(fd, 0x8004587D, struct.pack("I", 2))
"#;

/// Mounted, and unmounted on drop.
pub struct Disk {
    image: PathBuf,
    at: PathBuf,
}

/// Whether a command ended well; what it says is of no interest.
fn succeeds(program: &str, args: &[&dyn AsRef<OsStr>]) -> bool {
    let mut command = Command::new(program);
    command.args(args.iter().map(|arg| arg.as_ref()));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Disk {
    /// Makes a file system in `image` and mounts it on `at`; `None` when that is not allowed here.
    pub fn make(image: &Path, at: &Path) -> Option<Self> {
        File::create(image).and_then(|file| file.set_len(BYTES)).expect("room for an image");
        std::fs::create_dir_all(at).expect("a directory to mount on");
        let disk = Self { image: image.to_owned(), at: at.to_owned() };
        let is_ours = succeeds("mkfs.ext4", &[&"-q", &"-F", &image]) && disk.is_mountable();
        is_ours.then_some(disk)
    }

    fn is_mountable(&self) -> bool {
        succeeds("mount", &[&"-o", &"loop", &self.image, &self.at])
    }

    pub fn mount(&self) {
        assert!(self.is_mountable(), "{} is not mounted again", self.image.display());
    }

    pub fn unmount(&self) {
        let is_gone = wait_until(RELEASE, || succeeds("umount", &[&self.at]));
        assert!(is_gone, "somebody still uses {}", self.at.display());
    }

    /// Makes everything on it durable.
    pub fn sync(&self) {
        let dir = File::open(&self.at).expect("it is mounted");
        rustix::fs::syncfs(dir).expect("sync a sound file system");
    }

    /// Makes ready for a cut.
    pub fn switch(&self) -> Switch {
        let mut command = Command::new("python3");
        command.args(["-c", CUT]).arg(&self.at).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this test needs python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the switch answers");
        assert_eq!(line, "ready\n");
        Switch(child)
    }
}

/// Cuts the power.
pub struct Switch(Child);

impl Switch {
    /// Nothing reaches the image from now on, and every write, sync and open fails.
    pub fn cut_power(mut self) {
        self.0.stdin.take().expect("a pipe").write_all(b"\n").expect("the switch listens");
        let exit = self.0.wait().expect("reap the switch");
        assert!(exit.success(), "the file system is not shut down");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Fails when it is not mounted.
        let _ = succeeds("umount", &[&"-l", &self.at]);
    }
}
