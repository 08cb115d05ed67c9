//! The engine as a process: started, asked whether it lives, killed or stopped. Killed on drop.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{BINARY, wait_until};

/// A start includes reading the journal and mending what a kill left.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);

pub struct Engine {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Engine {
    /// `under` is a command that runs the engine, with its arguments; the two make a process group of their own.
    pub(super) fn start(config: &Path, socket: &Path, log: &Path, under: &[&str]) -> Self {
        let stderr = OpenOptions::new().create(true).append(true).open(log).expect("open the engine's log");
        let line: Vec<&str> = under.iter().copied().chain([BINARY]).collect();
        let child = Command::new(line[0])
            .args(&line[1..])
            .process_group(0)
            .arg("-c")
            .arg(config)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("start spoolhook");
        Self { child, socket: socket.to_owned(), log: log.to_owned() }
    }

    /// Waits until it answers on its socket.
    pub fn ready(&mut self) {
        let mut exit = None;
        let socket = self.socket.clone();
        let child = &mut self.child;
        let is_up = wait_until(START, || {
            exit = child.try_wait().expect("ask for the engine's exit");
            exit.is_some() || is_live(&socket)
        });
        assert!(is_up && exit.is_none(), "the engine did not start ({exit:?}); its log ends with\n{}", self.log_end());
    }

    /// SIGKILL: nothing is flushed and nobody is told.
    pub fn kill(&mut self) {
        self.assert_running();
        self.child.kill().expect("kill the engine");
        self.child.wait().expect("reap the engine");
    }

    /// SIGKILL, whether or not it has ended by itself.
    pub fn end(mut self) {
        // Fails only for a process that is gone already.
        let _ = self.child.kill();
        self.child.wait().expect("reap the engine");
    }

    /// Sends a signal and does not wait for what comes of it.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal the engine");
    }

    /// SIGTERM, and the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.assert_running();
        self.signal(Signal::TERM);
        self.ended(STOP)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("ask for the engine's exit").is_some()
    }

    /// Waits for its end, and the exit code; of a command it runs under, what that makes of it.
    pub fn ended(&mut self, at_most: Duration) -> Option<i32> {
        let mut exit = None;
        wait_until(at_most, || {
            exit = self.child.try_wait().expect("ask for the engine's exit");
            exit.is_some()
        });
        exit.unwrap_or_else(|| panic!("the engine has not ended; its log ends with\n{}", self.log_end())).code()
    }

    /// Its resident memory.
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a running process has memory")
    }

    /// An engine never ends by itself.
    pub fn assert_running(&mut self) {
        let exit = self.child.try_wait().expect("ask for the engine's exit");
        assert!(exit.is_none(), "the engine ended by itself ({exit:?}); its log ends with\n{}", self.log_end());
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // One that was waited for is gone, and its number may be somebody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn is_live(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let asked = stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(b"GET /livez HTTP/1.1\r\nHost: spoolhook\r\nConnection: close\r\n\r\n").is_ok();
    let mut answer = String::new();
    asked && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}
