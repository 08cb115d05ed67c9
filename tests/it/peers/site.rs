//! A directory with a configuration and a spool, in which the real program runs until it has nothing left to do.

use std::fs;
use std::process::Command;
use std::time::Duration;

use spoolhook::receiver::{Options, Received, Receiver};
use tempfile::TempDir;

use super::process::succeed;

/// Places, and no proxy whatever the machine's environment says. Umbra's own rule is https only.
const HEAD: &str = r#"
[spool]
dir = "spool"
[state]
dir = "state"
[admin]
listen = "off"
[network]
proxy = "off"
[[tenant]]
id = "default"
require_https = false
"#;

pub struct Site {
    dir: TempDir,
    config: String,
    files: u32,
}

impl Site {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["spool/in", "spool/tmp"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Self { dir, config: HEAD.to_owned(), files: 0 }
    }

    /// Adds to the configuration.
    pub fn configure(&mut self, text: &str) {
        self.config.push_str(text);
    }

    /// A subscription for every event, in `dialect`; `rest` are more lines of its table.
    pub fn subscribe(&mut self, name: &str, url: &str, dialect: &str, rest: &str) {
        self.configure(&format!(
            "[[subscription]]\nname = '{name}'\nurl = '{url}'\ndialect = '{dialect}'\nevents = ['**']\n{rest}\n"
        ));
    }

    /// A file in the spool, one event per line.
    pub fn write(&mut self, lines: &[&str]) {
        self.files += 1;
        let spool = self.dir.path().join("spool");
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(spool.join("in").join(format!("{:03}.ndjson", self.files)), lines).unwrap();
    }

    /// Runs the engine until nothing is left to deliver.
    pub fn run(&self) {
        let config = self.dir.path().join("config.toml");
        fs::write(&config, &self.config).unwrap();
        let mut engine = Command::new(env!("CARGO_BIN_EXE_spoolhook"));
        succeed(engine.args(["run", "--until-idle", "--config"]).arg(config), b"");
    }
}

/// A receiver that answers with `statuses` in turn and remembers what came.
pub fn receiver(statuses: &[u16]) -> Receiver {
    let options = Options { statuses: statuses.to_vec(), collect: true, ..Options::default() };
    Receiver::start("127.0.0.1:0".parse().unwrap(), options).unwrap()
}

/// What the receiver is sent when there is one subscription in `dialect` and these events.
pub fn deliver(dialect: &str, rest: &str, lines: &[&str]) -> Vec<Received> {
    let mut site = Site::new();
    let receiver = receiver(&[200]);
    site.subscribe("peer", &format!("http://{}/hooks", receiver.addr()), dialect, rest);
    site.write(lines);
    site.run();
    assert!(receiver.wait_for(lines.len(), Duration::ZERO), "{} of {} came", receiver.count(), lines.len());
    receiver.received()
}
