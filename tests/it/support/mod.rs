//! What the black-box tests stand on: a directory with a configuration, the engine as a process, an independent
//! receiver, and waiting that ends at a deadline.

mod engine;
mod port;
mod sink;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crossbeam_channel::bounded;
use serde_json::Value;
use spoolhook::env::{Clock, SystemClock};

pub use engine::Engine;
pub use port::free_port;
pub use sink::{Seen, Sink};

pub const BINARY: &str = env!("CARGO_BIN_EXE_spoolhook");

/// A temporary directory with a `config.toml`; it goes away on drop, unless the test fails.
pub struct Scenario {
    dir: Option<tempfile::TempDir>,
}

/// What a command printed with `--json`, and how it ended.
pub struct Answer {
    pub code: Option<i32>,
    pub json: Value,
    pub stderr: String,
}

impl Scenario {
    /// Writes `config` as it is; relative paths in it lie in the scenario's directory.
    pub fn new(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("spoolhook-it-").tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("config.toml"), config).expect("write the configuration");
        Self { dir: Some(dir) }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.as_ref().expect("kept until drop").path().join(name)
    }

    /// Starts the engine and does not wait for it.
    pub fn engine(&self) -> Engine {
        self.engine_under(&[])
    }

    /// Starts the engine under a command such as `prlimit --nofile=64`.
    pub fn engine_under(&self, under: &[&str]) -> Engine {
        let socket = self.path("state/spoolhook.sock");
        Engine::start(&self.path("config.toml"), &socket, &self.path("engine.log"), under)
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let config = self.path("config.toml");
        Command::new(BINARY).arg("-c").arg(config).args(args).output().expect("run spoolhook")
    }

    /// Runs a command with `--json`. What is no JSON is `Null`.
    pub fn cli(&self, args: &[&str]) -> Answer {
        let output = self.run(&[&["--json"], args].concat());
        Answer {
            code: output.status.code(),
            json: serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// What every engine of this scenario has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("engine.log")).unwrap_or_default()
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            println!("the scenario is kept in {}", dir.keep().display());
        }
    }
}

/// Looks every few milliseconds whether `holds`; false when it did not within `at_most`.
pub fn wait_until(at_most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let clock = SystemClock::new();
    loop {
        if holds() {
            return true;
        }
        if clock.monotonic() > at_most {
            return false;
        }
        pause(Duration::from_millis(5));
    }
}

/// The size of a heavy test, from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// The places of a scenario, relative to its configuration, and no port.
pub const HEAD: &str = r#"
[spool]
dir = "spool"
[state]
dir = "state"
[admin]
listen = "off"
"#;

/// Lets time pass: for the moments at which faults happen, never to hope that something is done.
pub fn pause(time: Duration) {
    let (_never, wait) = bounded::<()>(0);
    let _ = wait.recv_timeout(time);
}
