//! The real `spoolhook` binary as a child: a home on the real disk, a spool to deliver, and what the kernel says it cost.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{now_ns, pause};

/// Ticks of `/proc/PID/stat` per second: `USER_HZ`, 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
const LOOK: Duration = Duration::from_millis(5);
const TAKEN_LOOKS_MAX: u32 = 2400;

/// What a finished engine used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub cpu_seconds: f64,
    pub peak_kib: u64,
    /// At the time, or at most.
    pub kib: u64,
    pub threads: u64,
}

/// A directory with a configuration and a spool; removed when dropped.
pub struct Home {
    dir: tempfile::TempDir,
}

/// One `[[subscription]]` of the dialect `standard`, signed.
pub fn subscription(name: &str, url: &str, events: &str) -> String {
    format!(
        r#"
[[subscription]]
name = "{name}"
url = "{url}"
dialect = "standard"
events = ["{events}"]
secret = "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LW5vdC1mb3ItdXNl"
"#
    )
}

impl Home {
    /// `delivery`: lines of the `[delivery]` table. `subscriptions`: see [`subscription`].
    pub fn new(delivery: &str, subscriptions: &str) -> io::Result<Self> {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let config = format!(
            r#"
[spool]
dir = "spool"
[state]
dir = "state"
[admin]
listen = "off"
[network]
proxy = "off"
[delivery]
{delivery}
{subscriptions}"#
        );
        fs::write(dir.path().join("config.toml"), config)?;
        fs::create_dir_all(dir.path().join("spool/in"))?;
        Ok(Self { dir })
    }

    pub fn inbox(&self) -> PathBuf {
        self.dir.path().join("spool/in")
    }

    /// Puts events into the inbox, as one durable file that appears when it is whole. `line` makes the one with this
    /// number.
    pub fn fill(&self, name: &str, events: u64, line: impl Fn(u64) -> String) -> io::Result<()> {
        let unfinished = self.dir.path().join(name);
        let mut file = BufWriter::new(File::create(&unfinished)?);
        for number in 0..events {
            writeln!(file, "{}", line(number))?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(unfinished, self.inbox().join(name).with_extension("ndjson"))
    }

    /// Waits until an engine runs here and has taken in so many events.
    pub fn wait_until_taken(&self, events: u64) -> io::Result<()> {
        let taken = || {
            let mut status = Command::new(env!("CARGO_BIN_EXE_spoolhook"));
            status.args(["status", "--json", "-c"]).arg(self.dir.path().join("config.toml"));
            let answer: serde_json::Value = serde_json::from_slice(&status.output().ok()?.stdout).ok()?;
            answer["spool"]["events"].as_u64()
        };
        for _ in 0..TAKEN_LOOKS_MAX {
            if taken().is_some_and(|taken| taken >= events) {
                return Ok(());
            }
            pause(Duration::from_millis(50));
        }
        Err(io::Error::other(format!(
            "{events} events were not taken in: {}",
            fs::read_to_string(self.dir.path().join("log"))?
        )))
    }

    pub fn run(&self, until_idle: bool) -> io::Result<Running> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoolhook"));
        command.arg("run").arg("-c").arg(self.dir.path().join("config.toml"));
        if until_idle {
            command.arg("--until-idle");
        }
        start(command, self.dir.path().join("log"))
    }
}

/// An event of `event_type` whose request has a body of about `bytes` (at least 150); it says when it was written, if the
/// sink is to tell its age.
pub fn event(event_type: &str, number: u64, bytes: usize, sent_ns: Option<u64>) -> String {
    let stamp = sent_ns.map_or(r#""none":1000000000000000000"#.to_owned(), |ns| format!(r#""sent":{ns}"#));
    let (items, others) = match bytes {
        300.. => (
            r#""status":"shipped","customer":{"name":"Ada Byron","country":"DE"},"items":[{"sku":"A-100","quantity":2,"price":10.5},{"sku":"B-200","quantity":1,"price":99}],"#,
            290,
        ),
        _ => ("", 150),
    };
    let note = "x".repeat(bytes.saturating_sub(others));
    let data = format!(r#"{{"id":"SO-{number:010}",{stamp},{items}"note":"{note}"}}"#);
    format!(r#"{{"type":"{event_type}","id":"evt-{number:010}","time":"2026-03-12T10:00:00Z","data":{data}}}"#)
}

/// A process that runs: an engine, or another sender.
pub struct Running {
    child: Child,
    log: PathBuf,
}

/// Runs another program; what it says goes to `log`.
pub fn start(mut command: Command, log: PathBuf) -> io::Result<Running> {
    let file = File::create(&log)?;
    let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
    Ok(Running { child, log })
}

impl Running {
    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// What it used so far, and whether it has ended.
    pub fn cost(&self) -> (Cost, bool) {
        let status = self.proc("status");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        let stat = self.proc("stat");
        let (state, cpu_seconds) = state_and_cpu(&stat);
        let cost = Cost { cpu_seconds, peak_kib: value("VmHWM:"), kib: value("VmRSS:"), threads: value("Threads:") };
        (cost, state == "Z")
    }

    /// Lets it run to its end. The kernel keeps the times of an ended child until it is waited for, but not its memory,
    /// so that is looked at meanwhile.
    pub fn finish(mut self) -> io::Result<Cost> {
        let mut most = Cost::default();
        loop {
            let (cost, has_ended) = self.cost();
            most = Cost {
                cpu_seconds: cost.cpu_seconds,
                peak_kib: most.peak_kib.max(cost.peak_kib),
                kib: most.kib.max(cost.kib),
                threads: most.threads.max(cost.threads),
            };
            if has_ended {
                break;
            }
            pause(LOOK);
        }
        let status = self.child.wait()?;
        if status.success() { Ok(most) } else { Err(io::Error::other(fs::read_to_string(&self.log)?)) }
    }

    /// Ends it at once.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
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

/// Appends events to a spool file at `per_second`. `line` makes the one with this number, written at this time. The file is
/// kept open, as a daemon does, or opened and closed each time, as `echo >> file` does.
pub fn trickle(
    inbox: &Path,
    events: u64,
    per_second: u64,
    is_kept_open: bool,
    line: impl Fn(u64, u64) -> String,
) -> io::Result<()> {
    let open = || File::options().append(true).create(true).open(inbox.join("bench.ndjson"));
    let began_ns = now_ns();
    let mut file = open()?;
    for number in 0..events {
        let due_ns = began_ns + number * 1_000_000_000 / per_second;
        pause(Duration::from_nanos(due_ns.saturating_sub(now_ns())));
        if !is_kept_open {
            file = open()?;
        }
        file.write_all(format!("{}\n", line(number, now_ns())).as_bytes())?;
    }
    Ok(())
}
