//! The real program as a child: a home on a real disk, a spool to deliver, and what the kernel says it cost.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::time::pause;
use super::usage::{self, Cost};
use crate::env::{Files, OsFiles};

const LOOK: Duration = Duration::from_millis(5);

/// Which program runs, and where its homes are made.
#[derive(Clone, Debug)]
pub struct Place {
    pub program: PathBuf,
    pub dir: PathBuf,
    /// Homes stay when they are dropped.
    pub is_kept: bool,
}

/// A directory with a configuration and a spool; removed when dropped.
pub struct Home {
    program: PathBuf,
    dir: tempfile::TempDir,
}

/// Events that are on the disk, whole and durable, and not yet where the engine looks.
#[must_use = "they are delivered once they are released"]
pub struct Prepared {
    from: PathBuf,
    to: PathBuf,
}

impl Home {
    /// `delivery`: lines of the `[delivery]` table. `subscriptions`: see [`subscription`](super::subscription).
    pub fn new(place: &Place, name: &str, delivery: &str, subscriptions: &str) -> io::Result<Self> {
        let mut dir = tempfile::Builder::new().prefix(&format!("{name}.")).tempdir_in(&place.dir)?;
        dir.disable_cleanup(place.is_kept);
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
        Ok(Self { program: place.program.clone(), dir })
    }

    pub fn inbox(&self) -> PathBuf {
        self.dir.path().join("spool/in")
    }

    /// What the engine said, on either stream.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Puts events into the inbox, as one durable file that appears when it is whole. `line` makes the one with this
    /// number.
    pub fn fill(&self, name: &str, events: u64, line: impl Fn(u64) -> String) -> io::Result<()> {
        self.prepare(name, events, line)?.release()
    }

    /// The same but for the appearance.
    pub fn prepare(&self, name: &str, events: u64, line: impl Fn(u64) -> String) -> io::Result<Prepared> {
        let from = self.dir.path().join(name);
        let mut file = BufWriter::new(File::create(&from)?);
        for number in 0..events {
            writeln!(file, "{}", line(number))?;
        }
        file.into_inner()?.sync_all()?;
        Ok(Prepared { from, to: self.inbox().join(name).with_extension("ndjson") })
    }

    /// A command of the program, about this home. It runs inside it: a socket's path has to be short.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.dir.path()).args([name, "-c", "config.toml"]).env_remove("SPOOLHOOK_LOG");
        command
    }

    /// Runs an engine here.
    pub fn run(&self, until_idle: bool) -> io::Result<Running> {
        let mut command = self.command("run");
        if until_idle {
            command.arg("--until-idle");
        }
        start(command, self.dir.path().join("log"))
    }
}

impl Prepared {
    /// Lets the engine see them.
    pub fn release(self) -> io::Result<()> {
        OsFiles.rename(&self.from, &self.to)
    }
}

/// A process that runs: an engine, or another sender. It is ended when this is dropped.
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
    /// What it used so far, and whether it has ended.
    pub fn cost(&self) -> (Cost, bool) {
        usage::of_process(self.child.id())
    }

    /// The CPU time of the threads it has now, finer than in [`cost`](Self::cost).
    pub fn thread_time(&self) -> Duration {
        usage::of_threads(self.child.id())
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

impl Drop for Running {
    fn drop(&mut self) {
        // One that was waited for already is left alone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl AsRef<Path> for Home {
    fn as_ref(&self) -> &Path {
        self.dir.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        start(command, dir.join("log")).unwrap()
    }

    #[test]
    fn events_appear_when_they_are_released_and_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { program: "spoolhook".into(), dir: dir.path().to_owned(), is_kept: false };
        let home = Home::new(&place, "one", "", "").unwrap();
        let prepared = home.prepare("bench", 2, |number| format!("line {number}")).unwrap();
        let file = home.inbox().join("bench.ndjson");
        assert!(!file.exists());
        prepared.release().unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "line 0\nline 1\n");
        drop(home);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        drop(Home::new(&Place { is_kept: true, ..place }, "two", "", "").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_process_that_fails_says_why_and_one_that_is_dropped_ends() {
        let dir = tempfile::tempdir().unwrap();
        let failure = shell("echo broken >&2; exit 3", dir.path()).finish().unwrap_err();
        assert_eq!(failure.to_string(), "broken\n");
        let running = shell("exec sleep 600", dir.path());
        let pid = running.child.id();
        drop(running);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
