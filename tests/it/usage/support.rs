//! A directory with a configuration, the program in it, and receivers: what the tests of the command line share.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use spoolhook::receiver::{Options, Receiver};
use tempfile::TempDir;

use crate::support::{free_port, wait_until};

/// Nothing in these tests may take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a finished command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// stdout as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }
}

/// Asks until the answer is yes.
#[track_caller]
pub fn until(what: &str, question: impl FnMut() -> bool) {
    assert!(wait_until(PATIENCE, question), "in vain: {what}");
}

/// A process that ends with the test.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Its exit code, when it ends by itself in time.
    pub fn wait(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until(PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap_or_else(|| panic!("it does not end:\n{}", self.log())).code()
    }

    /// SIGTERM, then its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// SIGKILL: the power cut of processes.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it said on both streams so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A working directory.
pub struct Home {
    dir: TempDir,
}

/// Settings that keep tests apart from each other and from the machine: no TCP, the rest as by default.
const QUIET: &str = "[admin]\nlisten = \"off\"\n";

impl Home {
    /// With `config.toml`: no TCP control plane, and `more`.
    pub fn new(more: &str) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.configure(more);
        home
    }

    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces the configuration in one step.
    pub fn configure(&self, more: &str) {
        self.write("config.toml.new", format!("{QUIET}{more}"));
        std::fs::rename(self.path("config.toml.new"), self.path("config.toml")).unwrap();
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoolhook"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in [
            "SPOOLHOOK_CONFIG",
            "SPOOLHOOK_SOCKET",
            "SPOOLHOOK_URL",
            "SPOOLHOOK_TOKEN_FILE",
            "SPOOLHOOK_CA_FILE",
            "SPOOLHOOK_LOG",
            "JOURNAL_STREAM",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, b"")
    }

    /// The same with `input` on stdin.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Said {
        let stdin = self.write("stdin", input);
        let mut command = self.command(args);
        command.stdin(std::fs::File::open(stdin).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = child.id().to_string();
        let (done, timely) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            if timely.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &pid]).status();
            }
        });
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        drop(done);
        guard.join().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// Starts a command that stays.
    pub fn spawn(&self, args: &[&str]) -> Process {
        let log = self.path(&format!("{}-{}.log", args[0], fastrand::u32(..)));
        let file = std::fs::File::create(&log).unwrap();
        let child = self.command(args).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Process { child, log }
    }

    /// Starts the engine and waits until it answers.
    pub fn engine(&self) -> Process {
        let mut engine = self.spawn(&["run"]);
        let socket = self.path("state/spoolhook.sock");
        until("the engine answers", || {
            assert!(engine.running(), "it ended:\n{}", engine.log());
            UnixStream::connect(&socket).is_ok()
        });
        engine
    }

    /// Runs the engine until it has nothing left to do.
    #[track_caller]
    pub fn drain(&self) {
        self.run(&["run", "--until-idle"]).expect(0);
    }

    /// Puts a file of lines into the spool, as a producer does.
    pub fn spool(&self, name: &str, lines: impl AsRef<[u8]>) {
        self.write("spool/in/.keep", "");
        let draft = self.write(&format!("spool/tmp/{name}"), lines);
        std::fs::rename(draft, self.path(&format!("spool/in/{name}"))).unwrap();
    }

    /// The subscription as `subs show --json` has it.
    #[track_caller]
    pub fn sub(&self, name: &str) -> Value {
        self.run(&["subs", "show", name, "--json"]).expect(0).json()["webhook"].clone()
    }

    /// Deliveries, newest first.
    #[track_caller]
    pub fn deliveries(&self, filter: &[&str]) -> Vec<Value> {
        let said = self.run(&[&["deliveries", "list", "--json"], filter].concat()).expect(0);
        said.json()["data"].as_array().unwrap().clone()
    }

    /// The books balance; the row of `subscription`.
    #[track_caller]
    pub fn books(&self, subscription: &str) -> Value {
        let books = self.run(&["audit", "--json"]).expect(0).json();
        assert_eq!(books["differences"], serde_json::json!([]));
        let rows = books["subscriptions"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["subscription"] == subscription).unwrap_or_else(|| panic!("{books}"))
    }
}

/// A receiver that remembers what came.
pub fn receiver(statuses: &[u16]) -> Receiver {
    receiver_at(free_port(), statuses)
}

/// The same at an address, for one that comes back mended.
pub fn receiver_at(addr: SocketAddr, statuses: &[u16]) -> Receiver {
    let options = Options { statuses: statuses.to_vec(), collect: true, ..Options::default() };
    Receiver::start(addr, options).unwrap()
}

/// A subscription of dialect `cloudevents` to everything, retried soon, and `more`.
pub fn subscription(name: &str, addr: SocketAddr, more: &str) -> String {
    let defaults = [
        ("dialect", "dialect = \"cloudevents\""),
        ("events", "events = [\"**\"]"),
        ("retry", "retry = [\"100ms\", \"100ms\"]"),
    ];
    let mut text = format!("[[subscription]]\nname = \"{name}\"\nurl = \"http://{addr}/{name}\"\n{more}\n");
    for (key, line) in defaults {
        if !more.lines().any(|line| line.split('=').next().unwrap_or("").trim() == key) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The bodies that came, in order, as JSON.
pub fn bodies(receiver: &Receiver) -> Vec<Value> {
    receiver.received().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}
