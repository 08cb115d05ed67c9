//! A receiver, a configuration with a subscription of each mode, and engines that follow each other, each of which says
//! with every request which one it is.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

use spoolhook::env::{Clock, SystemClock};

use crate::support::{Engine, Scenario, Seen, Sink, number};

/// The last part of the receiver's paths: `PREFIX/at-most-once`.
pub const ONCE: &str = "/at-most-once";
pub const SURE: &str = "/at-least-once";

/// One delivery in sixteen is refused the first two times it comes, so that retries are interrupted as well.
pub fn decide(_path: &str, id: &str, number: u32) -> u16 {
    let draw: u32 = id.bytes().map(u32::from).sum();
    if draw.is_multiple_of(16) && number <= 2 { 409 } else { 200 }
}

/// The seed of this run, and what follows from it.
pub fn seeded() -> (u64, fastrand::Rng) {
    let seed = number("SPOOLHOOK_CRASH_SEED", SystemClock::new().now().0.unsigned_abs());
    println!("SPOOLHOOK_CRASH_SEED={seed}");
    (seed, fastrand::Rng::with_seed(seed))
}

/// What a configuration says.
pub struct Setup {
    /// Where the spool, the state and the log lie: "" or a directory in the scenario that ends with a slash.
    pub base: &'static str,
    /// How long the spool keeps what is delivered.
    pub retention: &'static str,
    pub retry: String,
    /// What the receiver's paths begin with.
    pub prefix: String,
    /// What they began with before, for the same deliveries.
    pub earlier: Vec<String>,
    /// Whether there is a `[[log]]`.
    pub tails: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let retry = r#"["50ms", "100ms", "200ms", "400ms", "1s"]"#.to_owned();
        Self { base: "", retention: "24h", retry, prefix: String::new(), earlier: Vec::new(), tails: true }
    }
}

impl Setup {
    /// The configuration of the `run`th engine.
    pub fn text(&self, sink: &Sink, run: u32) -> String {
        let Self { base, retention, retry, prefix, tails, .. } = self;
        let mut text = format!(
            r#"
[spool]
dir = "{base}spool"
retention = {{ age = "{retention}" }}

[state]
dir = "{base}state"

[admin]
listen = "off"
socket = "state/spoolhook.sock"

[dialect.crash]
body = '{{"id":{{{{id}}}},"time":{{{{time}}}},"data":{{{{data}}}}}}'
headers = {{ X-Delivery-Id = "{{{{delivery_id}}}}", X-Attempt = "{{{{attempt}}}}" }}
"#
        );
        if *tails {
            let _ = write!(text, "\n[[log]]\ndir = \"{base}log\"\npattern = \"*.ndjson\"\n");
        }
        for (name, path, mode) in
            [("sure", SURE, format!("retry = {retry}")), ("once", ONCE, "mode = \"at-most-once\"".to_owned())]
        {
            let _ = write!(
                text,
                r#"
[[subscription]]
name = "{name}"
url = "http://{}{prefix}{path}"
dialect = "crash"
headers = {{ X-Run = "{run}" }}
events = ["**"]
{mode}
start = "beginning"
"#,
                sink.addr()
            );
        }
        text
    }
}

/// One of them after the other.
pub struct World<'a> {
    pub sink: &'a Sink,
    pub scenario: Scenario,
    pub setup: Setup,
    /// Number of the engine that was started last.
    pub run: u32,
}

impl<'a> World<'a> {
    /// Makes the directories that engines do not make.
    pub fn new(sink: &'a Sink, setup: Setup) -> Self {
        let scenario = Scenario::new(&setup.text(sink, 0));
        std::fs::create_dir(scenario.path("state")).expect("a directory for the socket");
        Self { sink, scenario, setup, run: 0 }
    }

    /// A path in the scenario, below the base.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scenario.path(self.setup.base).join(name)
    }

    /// What the receiver saw on the path that ends with `end`, by delivery id.
    pub fn seen(&self, end: &str) -> HashMap<String, Seen> {
        let mut all: HashMap<String, Seen> = HashMap::new();
        for prefix in self.setup.earlier.iter().chain([&self.setup.prefix]) {
            for (id, seen) in self.sink.seen(&format!("{prefix}{end}")) {
                all.entry(id).or_default().absorb(seen);
            }
        }
        all
    }

    /// Writes the next engine's configuration.
    pub fn next_run(&mut self) {
        self.run += 1;
        let config = self.setup.text(self.sink, self.run);
        std::fs::write(self.scenario.path("config.toml"), config).expect("write the configuration");
    }

    /// Starts the next engine and does not wait for it.
    pub fn engine(&mut self) -> Engine {
        self.next_run();
        self.scenario.engine()
    }

    /// Runs the next engine until nothing is left to be done.
    pub fn until_idle(&mut self) {
        self.next_run();
        let idle = self.scenario.run(&["run", "--until-idle"]);
        assert!(idle.status.success(), "{}", String::from_utf8_lossy(&idle.stderr));
    }
}
