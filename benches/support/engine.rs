//! The real `spoolhook` binary as a child: a home on the real disk, a spool to deliver, and what the kernel says it cost.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{CONNECTIONS, now_ns};

/// Ticks of `/proc/PID/stat` per second: `USER_HZ`, 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const LOOK: Duration = Duration::from_millis(5);

/// What a finished engine used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub cpu_seconds: f64,
    pub peak_kib: u64,
    pub threads: u64,
}

/// A directory with a configuration and a spool; removed when dropped.
pub struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    pub fn new(sink: SocketAddr, mode: &str) -> io::Result<Self> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let config = format!(
            r#"
[spool]
dir = "spool"
[state]
dir = "state"
[admin]
listen = "off"
[delivery]
mode = "{mode}"
workers = {CONNECTIONS}
max_in_flight = {CONNECTIONS}
[network]
proxy = "off"
[[subscription]]
name = "bench"
url = "http://{sink}/hook"
dialect = "standard"
events = ["**"]
secret = "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LW5vdC1mb3ItdXNl"
"#
        );
        fs::write(dir.path().join("config.toml"), config)?;
        fs::create_dir_all(dir.path().join("spool/in"))?;
        Ok(Self { dir })
    }

    pub fn inbox(&self) -> PathBuf {
        self.dir.path().join("spool/in")
    }

    /// Puts `events` events into the inbox, as one durable file.
    pub fn fill(&self, events: u64) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(self.inbox().join("bench.ndjson"))?);
        for number in 0..events {
            writeln!(file, "{}", event(number, None))?;
        }
        file.into_inner()?.sync_all()
    }

    pub fn run(&self, until_idle: bool) -> io::Result<Running> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoolhook"));
        command.arg("run").arg("-c").arg(self.dir.path().join("config.toml"));
        if until_idle {
            command.arg("--until-idle");
        }
        let log = File::create(self.dir.path().join("log"))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Running { child, log: self.dir.path().join("log") })
    }
}

/// An event whose request has a body of 500 bytes; it says when it was written, if the sink is to tell its age.
pub fn event(number: u64, sent_ns: Option<u64>) -> String {
    let stamp = sent_ns.map_or(r#""none":1000000000000000000"#.to_owned(), |ns| format!(r#""sent":{ns}"#));
    let data = format!(
        r#"{{"id":"SO-{number:010}",{stamp},"status":"shipped","customer":{{"name":"Ada Byron","country":"DE"}},"items":[{{"sku":"A-100","quantity":2,"price":10.5}},{{"sku":"B-200","quantity":1,"price":99}}],"note":"{note}"}}"#,
        note = "x".repeat(210)
    );
    format!(r#"{{"type":"salesOrder.updated","id":"evt-{number:010}","time":"2026-03-12T10:00:00Z","data":{data}}}"#)
}

/// An engine that runs.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// Lets it run to its end. The kernel keeps the times of an ended child until it is waited for, but not its memory,
    /// so that is looked at meanwhile.
    pub fn finish(mut self) -> io::Result<Cost> {
        let mut cost = Cost::default();
        loop {
            let status = self.proc("status");
            let value = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
            };
            cost.peak_kib = cost.peak_kib.max(value("VmHWM:"));
            cost.threads = cost.threads.max(value("Threads:"));
            let stat = self.proc("stat");
            let (state, cpu_seconds) = state_and_cpu(&stat);
            if state == "Z" {
                cost.cpu_seconds = cpu_seconds;
                break;
            }
            pause(LOOK);
        }
        let status = self.child.wait()?;
        if status.success() { Ok(cost) } else { Err(io::Error::other(fs::read_to_string(&self.log)?)) }
    }

    /// Asks it to stop, as a service manager does.
    pub fn stop(self) -> io::Result<Cost> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a child has a number"), rustix::process::Signal::TERM)?;
        self.finish()
    }
}

/// State and CPU seconds of a process by its `/proc/PID/stat` (proc(5): fields 3, 14 and 15).
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

/// Appends `events` events to a spool file at `per_second`. The file is kept open, as a daemon does, or opened and closed
/// each time, as `echo >> file` does.
pub fn trickle(inbox: &Path, events: u64, per_second: u64, is_kept_open: bool) -> io::Result<()> {
    let open = || File::options().append(true).create(true).open(inbox.join("bench.ndjson"));
    let began_ns = now_ns();
    let mut file = open()?;
    for number in 0..events {
        let due_ns = began_ns + number * 1_000_000_000 / per_second;
        pause(Duration::from_nanos(due_ns.saturating_sub(now_ns())));
        if !is_kept_open {
            file = open()?;
        }
        file.write_all(format!("{}\n", event(number, Some(now_ns()))).as_bytes())?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a measurement keeps time by itself")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
