//! What a process used, as the kernel counts it (proc(5)).

use std::fs;
use std::io;
use std::time::Duration;

/// Ticks of `/proc/PID/stat` per second: `USER_HZ`, 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub cpu_seconds: f64,
    pub peak_kib: u64,
    /// At the time, or at most.
    pub kib: u64,
    pub threads: u64,
}

/// What the process used so far, and whether it has ended.
pub(super) fn of_process(pid: u32) -> (Cost, bool) {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    cost(&read("stat"), &read("status"))
}

/// The same from the texts of `stat` and `status`.
fn cost(stat: &str, status: &str) -> (Cost, bool) {
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    let (state, cpu_seconds) = state_and_cpu(stat);
    let cost = Cost { cpu_seconds, peak_kib: value("VmHWM:"), kib: value("VmRSS:"), threads: value("Threads:") };
    (cost, state == "Z")
}

/// State and CPU seconds by `/proc/PID/stat` (fields 3, 14 and 15).
fn state_and_cpu(stat: &str) -> (&str, f64) {
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0);
    (fields[0], (ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}

/// The CPU time that `work` takes in this process.
pub fn own_cost(work: impl FnOnce() -> io::Result<()>) -> io::Result<Cost> {
    let cpu_seconds = || fs::read_to_string("/proc/self/stat").map(|stat| state_and_cpu(&stat).1);
    let before = cpu_seconds()?;
    work()?;
    Ok(Cost { cpu_seconds: cpu_seconds()? - before, ..Cost::default() })
}

/// The CPU time of this thread so far; finer than ticks.
pub(super) fn of_this_thread() -> Duration {
    ran(&fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default())
}

/// The CPU time of the threads that a process has now: finer than ticks, but without those that have ended.
pub(super) fn of_threads(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let times = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    times.map(|text| ran(&text)).sum()
}

/// The first field of `schedstat`: nanoseconds on a CPU.
fn ran(schedstat: &str) -> Duration {
    let ns = schedstat.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "812 (a) b) S 1 812 812 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 9 0 100 1000 200";
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n";
        let expected = Cost { cpu_seconds: 2.0, peak_kib: 2048, kib: 1024, threads: 9 };
        assert_eq!(cost(stat, status), (expected, false));
        assert_eq!(cost("812 (a) Z 1 812", ""), (Cost::default(), true));
        assert_eq!(cost("", ""), (Cost::default(), false));
    }

    #[test]
    fn schedstat_begins_with_the_time_on_a_cpu() {
        assert_eq!(ran("1500000 20 3\n"), Duration::from_micros(1500));
        assert_eq!(ran(""), Duration::ZERO);
        assert!(of_threads(std::process::id()) > Duration::ZERO);
    }
}
