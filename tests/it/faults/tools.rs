//! What the fault tests share: one configuration, a small disk, producers that know what was accepted, and the judge.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Answer, Engine, Scenario, Sink, pause, wait_until};

pub const SURE: &str = "/sure";
pub const ONCE: &str = "/once";
/// Longest wait for something that should come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Two subscriptions, one for each promise. The socket lies beside the state, which a test may put on a small disk.
pub fn config(sink: &Sink, state: &str) -> String {
    let addr = sink.addr();
    format!(
        r#"
[spool]
dir = "disk/spool"

[state]
dir = "disk/state"
{state}

[admin]
listen = "off"
socket = "state/spoolhook.sock"

[dialect.plain]
body = '{{"event":{{{{id}}}},"data":{{{{data}}}}}}'
headers = {{ X-Delivery-Id = "{{{{delivery_id}}}}" }}

[[subscription]]
name = "sure"
url = "http://{addr}{SURE}"
dialect = "plain"
events = ["**"]
retry = ["50ms", "100ms", "200ms", "400ms", "1s"]
start = "beginning"

[[subscription]]
name = "once"
url = "http://{addr}{ONCE}"
dialect = "plain"
events = ["**"]
mode = "at-most-once"
start = "beginning"
"#
    )
}

/// A scenario whose spool and state lie in `disk/`.
pub fn scenario(sink: &Sink, state: &str) -> Scenario {
    let scenario = Scenario::new(&config(sink, state));
    for dir in ["disk", "state"] {
        std::fs::create_dir(scenario.path(dir)).unwrap();
    }
    scenario
}

/// A scenario whose engine runs, with receivers that decide as given.
pub fn running(decide: impl Fn(&str) -> u16 + Send + Sync + 'static, state: &str) -> (Sink, Scenario, Engine) {
    let sink = Sink::start(move |path, _, _| decide(path));
    let scenario = scenario(&sink, state);
    let mut engine = scenario.engine();
    engine.ready();
    (sink, scenario, engine)
}

/// Whether a test whose means are missing may pass.
pub fn skip(what: &str) {
    assert!(std::env::var_os("SPOOLHOOK_REQUIRE_FAULTS").is_none(), "{what} is missing");
    println!("skipped: {what} is missing");
}

/// A tmpfs of its own size, unmounted on drop.
pub struct Disk(PathBuf);

impl Disk {
    /// `options` as for mount(8): `size=40m`. `None` where we may not mount.
    pub fn mount(path: PathBuf, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "spoolhook-it"]).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(path))
    }

    pub fn remount(&self, options: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(done.unwrap().success(), "remount {options}");
    }

    /// Leaves `left` bytes free; the file that takes the rest.
    pub fn fill(&self, left: u64) -> PathBuf {
        let free = spoolhook::env::Files::free_bytes(&spoolhook::env::OsFiles, &self.0).unwrap();
        let path = self.0.join("junk");
        let mut junk = File::create(&path).unwrap();
        let zeros = vec![0; 64 << 10];
        let mut more = free.saturating_sub(left);
        while more > 0 {
            let piece = usize::try_from(more).unwrap().min(zeros.len());
            junk.write_all(&zeros[..piece]).unwrap();
            more -= piece as u64;
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Whether strace may trace here.
pub fn has_strace() -> bool {
    Command::new("strace").args(["-o", "/dev/null", "true"]).output().is_ok_and(|output| output.status.success())
}

/// The prefix that runs the engine with a fault injected: `fdatasync:error=EIO:when=5`, in calls on paths as given.
pub fn strace<'a>(inject: &'a str, trace: &'a Path, paths: &'a [&'a Path]) -> Vec<&'a str> {
    let calls = inject.split_once(':').map_or(inject, |(calls, _)| calls);
    let mut line = vec!["strace", "-f", "-qq", "--seccomp-bpf", "-o", trace.to_str().unwrap(), "-e"];
    let (traced, injected) = (format!("trace={calls}"), format!("inject={inject}"));
    line.extend([traced.leak() as &str, "-e", injected.leak()]);
    for path in paths {
        line.extend(["-P", path.to_str().unwrap()]);
    }
    line
}

/// A process that appends events to a file of its own in `in/`: each in one write with a line end before it as well.
/// What was written only in part, or not at all, is written again.
pub struct Producer {
    writing: JoinHandle<()>,
}

/// What producers met.
#[derive(Default)]
pub struct Met {
    /// Events that were written whole.
    pub accepted: AtomicUsize,
    /// Writes that the disk refused.
    pub refused: AtomicUsize,
    /// Writes of which only a part came through.
    pub torn: AtomicUsize,
    stop: AtomicBool,
}

impl Met {
    /// Lets the producers end early.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// `count` events named `<name>-<number>` with `bytes` of data each.
pub fn produce(spool: &Path, name: &str, count: usize, bytes: usize, met: Arc<Met>) -> Producer {
    let path = spool.join("in").join(format!("{name}.ndjson"));
    let name = name.to_owned();
    let writing = std::thread::spawn(move || {
        let filler = "x".repeat(bytes);
        let mut number = 0;
        while number < count && !met.stop.load(Ordering::SeqCst) {
            let line = format!("\n{{\"type\":\"item.changed\",\"id\":\"{name}-{number}\",\"data\":\"{filler}\"}}\n");
            match append(&path, line.as_bytes()) {
                // Without its last LF the event is whole all the same: the next one begins with LF, or the file ends.
                Ok(written) if written + 1 >= line.len() => {
                    number += 1;
                    met.accepted.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                Ok(_) => met.torn.fetch_add(1, Ordering::SeqCst),
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(_) => met.refused.fetch_add(1, Ordering::SeqCst),
            };
            pause(Duration::from_millis(20));
        }
    });
    Producer { writing }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<usize> {
    OpenOptions::new().create(true).append(true).open(path)?.write(bytes)
}

impl Producer {
    pub fn finish(self) {
        self.writing.join().expect("the producer does not panic");
    }

    pub fn is_finished(&self) -> bool {
        self.writing.is_finished()
    }
}

/// Writes events in one go, on a disk that is well.
pub fn write(spool: &Path, name: &str, count: usize) {
    let met = Arc::new(Met::default());
    std::fs::create_dir_all(spool.join("in")).unwrap();
    produce(spool, name, count, 16, met).finish();
}

/// The books, which must balance.
pub fn audit(scenario: &Scenario) -> Value {
    let Answer { code, json, stderr } = scenario.cli(&["audit"]);
    assert_eq!(code, Some(0), "the books differ: {json:#} {stderr}");
    json
}

/// `GET /readyz`: the status code, and what fails in words.
pub fn readiness(scenario: &Scenario) -> (u16, String) {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    let Ok(mut stream) = UnixStream::connect(scenario.path("state/spoolhook.sock")) else { return (0, String::new()) };
    let request = b"GET /readyz HTTP/1.1\r\nHost: spoolhook\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    if stream.write_all(request).is_err() || stream.read_to_string(&mut answer).is_err() {
        return (0, String::new());
    }
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body: Value =
        answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()).unwrap_or_default();
    let checks = body["checks"].as_array().cloned().unwrap_or_default();
    let reasons: Vec<_> = checks.iter().filter_map(|check| check["reason"].as_str().map(str::to_owned)).collect();
    (code, reasons.join("; "))
}

/// No attempt failed: what went wrong was nobody's fault out there.
pub fn nobody_is_blamed(scenario: &Scenario) {
    let status = scenario.cli(&["status"]).json;
    let hooks = status["subscriptions"].as_array().expect("a list");
    let errors: Vec<_> = hooks.iter().map(|hook| hook["counters"]["error_count"].clone()).collect();
    assert_eq!(errors, [0, 0], "{status:#}");
}

/// Waits until a request for `sure` has begun.
pub fn wait_for_a_request(sink: &Sink) {
    let begun = wait_until(PATIENCE, || sink.seen(SURE).values().any(|seen| seen.begun > 0));
    assert!(begun, "nothing was sent");
}

/// Waits until nothing is pending, then judges: every event of `names` arrived where it must, nothing was sent twice that
/// must not be, and the books say the same. Returns the number of at-least-once repetitions.
pub fn judge(scenario: &Scenario, sink: &Sink, events: &BTreeSet<String>) -> u32 {
    let mut books = Value::Null;
    let is_settled = |books: &Value| {
        let all = books["subscriptions"].as_array().cloned().unwrap_or_default();
        all.len() >= 2 && all.iter().all(|books| books["pending"] == 0)
    };
    let taken = sink.wait_for(SURE, events.len(), PATIENCE * 2);
    let settled = wait_until(PATIENCE, || {
        books = scenario.cli(&["audit"]).json;
        is_settled(&books)
    });
    assert!(settled, "{taken} of {} events arrived; {books:#}\n{}", events.len(), scenario.log());
    audit(scenario);
    let (sure, once) = (sink.seen(SURE), sink.seen(ONCE));
    let arrived: BTreeSet<String> =
        sure.values().filter(|seen| seen.taken > 0).map(|seen| seen.event.clone()).collect();
    let lost: Vec<_> = events.difference(&arrived).collect();
    assert!(lost.is_empty(), "{} events are lost: {lost:?}", lost.len());
    assert!(arrived.is_subset(events), "events arrived that nobody wrote");
    let twice: Vec<_> = once.iter().filter(|(_, seen)| seen.begun > 1).collect();
    assert!(twice.is_empty(), "at-most-once deliveries sent twice: {twice:?}");
    assert!(sure.values().all(|seen| !seen.differs), "a repeated delivery had another body");
    assert_eq!(sink.faults(), Vec::<String>::new());
    sure.values().map(|seen| seen.whole.saturating_sub(1)).sum()
}

/// The names that [`produce`] gives.
pub fn names(name: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|number| format!("{name}-{number}")).collect()
}
