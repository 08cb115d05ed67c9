//! What the figures were taken on: they mean little without it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The machine, the disk and the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    pub version: String,
    /// `release`, or `debug`, which is several times slower.
    pub build: &'static str,
    pub cpu: String,
    pub cores: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub dir: PathBuf,
    pub filesystem: String,
    pub device: String,
}

impl Machine {
    /// What somebody has to know who reads the figures.
    pub fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if matches!(self.filesystem.as_str(), "tmpfs" | "ramfs") {
            let dir = self.dir.display();
            caveats.push(format!("{dir} is in memory ({}): a sync costs nothing there", self.filesystem));
        }
        if self.build == "debug" {
            caveats.push("this is a debug build: a release build is several times as fast".to_owned());
        }
        caveats
    }
}

/// Looks at the machine, and at what `dir` lies on.
pub fn describe(dir: &Path) -> io::Result<Machine> {
    let dir = fs::canonicalize(dir)?;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (filesystem, device) = mount_of(&read("/proc/self/mountinfo"), &dir);
    Ok(Machine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        cpu: cpu_model(&read("/proc/cpuinfo")),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: memory_bytes(&read("/proc/meminfo")),
        kernel: format!("{} {}", read("/proc/sys/kernel/ostype").trim(), read("/proc/sys/kernel/osrelease").trim()),
        dir,
        filesystem,
        device,
    })
}

/// Some architectures have no name for their processors.
fn cpu_model(cpuinfo: &str) -> String {
    let named = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut models = named.filter(|(key, _)| matches!(key.trim(), "model name" | "Model" | "cpu model"));
    models.next().map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Type and source of the mount that holds `path`, by the text of `/proc/self/mountinfo` (proc(5)). Of nested mounts it is
/// the innermost, of mounts on one another the last.
fn mount_of(mountinfo: &str, path: &Path) -> (String, String) {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let point = unescape(before.split(' ').nth(4)?);
        let mut after = after.split(' ');
        let (kind, source) = (after.next()?, after.next()?);
        path.starts_with(&point).then(|| (point.len(), kind.to_owned(), unescape(source)))
    });
    let unknown = || ("unknown".to_owned(), "unknown".to_owned());
    mounts.max_by_key(|(length, ..)| *length).map_or_else(unknown, |(_, kind, source)| (kind, source))
}

/// Blanks and the like are written as three octal digits.
fn unescape(text: &str) -> String {
    ["040", "011", "012", "134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, meant)| text.replace(&format!("\\{code}"), meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /proc rw - proc proc rw
24 22 0:21 / /srv rw - ext4 /dev/vdb rw
25 22 0:22 / /srv rw - xfs /dev/vdc rw
26 22 0:23 / /mnt/a\\040disk rw - btrfs /dev/mapper/a\\040disk rw
";

    #[track_caller]
    fn check(path: &str, filesystem: &str, device: &str) {
        assert_eq!(mount_of(MOUNTS, Path::new(path)), (filesystem.to_owned(), device.to_owned()));
    }

    #[test]
    fn the_innermost_and_last_mount_holds_a_path() {
        check("/home/a", "ext4", "/dev/vda");
        check("/srv/spool", "xfs", "/dev/vdc");
        check("/srvice", "ext4", "/dev/vda");
        check("/mnt/a disk/x", "btrfs", "/dev/mapper/a disk");
        assert_eq!(mount_of("", Path::new("/")).0, "unknown");
    }

    #[test]
    fn this_machine_can_be_described() {
        let dir = tempfile::tempdir().unwrap();
        let machine = describe(dir.path()).unwrap();
        assert!(machine.cores > 0 && machine.memory_bytes > 0 && machine.kernel.starts_with("Linux "), "{machine:?}");
        assert!(machine.filesystem != "unknown" && !machine.cpu.is_empty());
        assert!(describe(&dir.path().join("missing")).is_err());
    }

    #[test]
    fn figures_from_memory_or_from_a_debug_build_come_with_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let machine = describe(dir.path()).unwrap();
        let real = Machine { filesystem: "ext4".to_owned(), build: "release", ..machine };
        assert_eq!(real.caveats(), Vec::<String>::new());
        assert_eq!(Machine { filesystem: "tmpfs".to_owned(), build: "debug", ..real }.caveats().len(), 2);
    }
}
