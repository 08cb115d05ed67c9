//! What this process uses, as the kernel counts it (proc(5)).

use std::fs;
use std::io;

/// Ticks of `/proc/self/stat` per second: `USER_HZ`, 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What this process uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUse {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub threads: u64,
    pub open_files: u64,
    /// The soft limit of open files.
    pub open_files_max: u64,
}

impl ProcessUse {
    /// Asks the kernel.
    pub fn now() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let status = fs::read_to_string("/proc/self/status")?;
        // The directory that is being read is one of them.
        let open_files = (fs::read_dir("/proc/self/fd")?.count() as u64).saturating_sub(1);
        let limits = fs::read_to_string("/proc/self/limits")?;
        Ok(Self { open_files, open_files_max: open_files_max(&limits), ..of(&stat, &status) })
    }
}

fn of(stat: &str, status: &str) -> ProcessUse {
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    // The second field, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    ProcessUse {
        cpu_seconds: (ticks(11) + ticks(12)) / TICKS_PER_SECOND,
        resident_bytes: value("VmRSS:") * 1024,
        virtual_bytes: value("VmSize:") * 1024,
        threads: value("Threads:"),
        ..ProcessUse::default()
    }
}

fn open_files_max(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let used = ProcessUse::now().unwrap();
        assert!(used.resident_bytes > 1 << 20 && used.threads > 0 && used.open_files > 2, "{used:?}");
        assert!(used.open_files_max >= used.open_files, "{used:?}");
    }

    #[test]
    fn a_name_with_a_parenthesis_is_passed_over() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0";
        assert_eq!(of(stat, "VmRSS:\t 12 kB\nThreads:\t3\n").cpu_seconds, 2.0);
    }
}
