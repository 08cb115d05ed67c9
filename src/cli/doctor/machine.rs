//! Limits of the kernel, the clock, and the engine itself.

use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::env::ProcessUse;
use crate::model::Timestamp;

/// 2026-01-01: an earlier clock was never set.
const FIRST_YEAR: Timestamp = Timestamp(1_767_225_600_000);
/// Files that the engine has open besides its connections.
const FILES_OPEN: u64 = 128;
/// Written by systemd-timesyncd once the clock was set from the network.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

pub fn look(config: Option<&Config>, now: Timestamp) -> Vec<Finding> {
    let mut found = vec![watches(), open_files(config), clock(now)];
    if let Some(config) = config {
        found.push(socket(&config.admin.socket));
    }
    found
}

fn setting(name: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok()
}

fn watches() -> Finding {
    let names = ["fs/inotify/max_user_instances", "fs/inotify/max_user_watches"];
    let [instances, watches] = names.map(setting);
    match (instances, watches) {
        (Some(instances), Some(watches)) if instances >= 16 && watches >= 1024 => {
            Finding::ok("inotify", format!("{instances} instances, {watches} watches"))
        }
        (Some(instances), Some(watches)) => Finding::warn(
            "inotify",
            format!("only {instances} instances and {watches} watches: others may use them up"),
            "sysctl fs.inotify.max_user_instances=128; without a watch new files are found within a second",
        ),
        _ => Finding::warn("inotify", "the kernel does not say its limits", "new files are found within a second"),
    }
}

fn open_files(config: Option<&Config>) -> Finding {
    let Ok(used) = ProcessUse::now() else {
        return Finding::warn("open files", "the kernel does not say the limit", "is /proc mounted?");
    };
    let hard = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let hard = hard.lines().find_map(|line| line.strip_prefix("Max open files"));
    let hard = hard.and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok()).unwrap_or(used.open_files_max);
    let wanted = FILES_OPEN + config.map_or(0, |config| 2 * u64::from(config.delivery.workers));
    match hard >= wanted {
        true => Finding::ok("open files", format!("up to {hard}; {wanted} are enough")),
        false => Finding::fail(
            "open files",
            format!("at most {hard}; {wanted} may be needed"),
            "raise it: LimitNOFILE=65536 in the unit, or ulimit -n",
        ),
    }
}

fn clock(now: Timestamp) -> Finding {
    let synchronized = Path::new(SYNCHRONIZED).exists() || Path::new("/run/chrony").exists();
    match (now < FIRST_YEAR, synchronized) {
        (true, _) => Finding::fail(
            "clock",
            format!("it says {now}, which is long ago"),
            "set it: receivers refuse signatures of another time, and certificates seem not yet valid",
        ),
        (false, true) => Finding::ok("clock", format!("{now}, kept by a time service")),
        (false, false) => Finding::warn(
            "clock",
            format!("{now}; no time service of systemd or chrony seems to keep it"),
            "receivers refuse signatures that are off by more than five minutes",
        ),
    }
}

fn socket(path: &Path) -> Finding {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Finding::ok("engine", format!("it answers on {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Finding::fail(
            "engine",
            format!("permission denied on {}", path.display()),
            "add yourself to its group: sudo adduser $USER spoolhook",
        ),
        Err(_) => Finding::warn("engine", format!("none answers on {}", path.display()), "start it: spoolhook run"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_a_failure() {
        assert_eq!(clock(Timestamp(0)).verdict, Verdict::Fail);
        assert_ne!(clock(FIRST_YEAR).verdict, Verdict::Fail);
    }
}
