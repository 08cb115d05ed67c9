//! Commands as a user sees them: arguments in, text and exit code out, against the real control plane on a real socket
//! in front of a fake engine.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::args::{Cli, Global};
use super::context::Context;
use super::error::{CliError, ExitKind};
use super::output::{Format, Output};
use crate::admin::fake::{DELIVERY, FakeEngine, NOON, attempt_line};
use crate::admin::{Admin, Door, DoorSettings, Limits, Listen, LiveHub, start};
use crate::env::{ManualClock, OsFiles};
use crate::model::DeliveryStatus;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A context whose streams can be read, at noon UTC.
pub struct Screen {
    pub context: Context,
    out: Captured,
    err: Captured,
}

impl Screen {
    pub fn human() -> Self {
        Self::new(Global::default(), Format::Human)
    }

    fn new(global: Global, format: Format) -> Self {
        Self::over(global, format, Captured::default(), Captured::default())
    }

    fn over(global: Global, format: Format, out: Captured, err: Captured) -> Self {
        let output = Output::captured(out.clone(), err.clone(), format);
        Self { context: Context::test(global, output, Box::new(ManualClock::at(NOON))), out, err }
    }

    pub fn out(&self) -> String {
        self.out.text()
    }

    pub fn err(&self) -> String {
        self.err.text()
    }
}

struct Bench {
    admin: Admin,
    engine: Arc<FakeEngine>,
    live: LiveHub,
    dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (engine, live) = (Arc::new(FakeEngine::default()), LiveHub::new(8));
    let listen = Listen { socket: Some(dir.path().join("s.sock")), tcp: None, limits: Limits::default() };
    let clock = Arc::new(ManualClock::at(NOON));
    let door = Door::open(Arc::new(OsFiles), dir.path(), clock, DoorSettings::default()).unwrap();
    let admin = start(&listen, engine.clone(), live.clone(), Arc::new(door)).unwrap();
    Bench { admin, engine, live, dir }
}

struct End {
    result: Result<(), CliError>,
    out: String,
    err: String,
}

impl End {
    fn kind(&self) -> ExitKind {
        self.result.as_ref().map_or_else(|error| error.kind, |()| ExitKind::Done)
    }
}

fn run(socket: &Path, arguments: &str) -> End {
    run_into(socket, arguments, Captured::default())
}

fn run_into(socket: &Path, arguments: &str, out: Captured) -> End {
    let words = ["spoolhook", "--socket", socket.to_str().unwrap()].into_iter().chain(arguments.split(' '));
    let cli = Cli::read(words).unwrap();
    let format = match (cli.global.json, cli.global.jsonl) {
        (true, _) => Format::Json,
        (_, true) => Format::JsonLines,
        _ => Format::Human,
    };
    let mut screen = Screen::over(cli.global, format, out, Captured::default());
    let result = cli.command.run(&mut screen.context);
    if let Err(error) = &result {
        screen.context.out.fault(error);
    }
    End { result, out: screen.out.text(), err: screen.err.text() }
}

impl Bench {
    fn run(&self, arguments: &str) -> End {
        run(&self.dir.path().join("s.sock"), arguments)
    }
}

#[test]
fn the_arguments_are_well_formed() {
    Cli::tree().debug_assert();
}

#[test]
fn every_command_leads_its_help_with_examples() {
    fn look(command: &mut clap::Command) {
        let help = command.render_long_help().to_string();
        assert!(help.starts_with("Examples:\n  spoolhook "), "{}: {help}", command.get_name());
        command.get_subcommands_mut().filter(|sub| sub.get_name() != "help").for_each(look);
    }
    Cli::tree().get_subcommands_mut().for_each(look);
}

#[test]
fn status_is_one_screen() {
    let end = bench().run("status");
    assert_eq!(end.kind(), ExitKind::Done, "{}", end.err);
    assert_eq!(
        end.out,
        "\
spoolhook 0.1.0   running 3 d 4 h   pid 812   config /etc/spoolhook/config.toml (loaded 09:12:00, unchanged on disk)

spool        0 B behind    last event 2 s ago    1 204 881 events (8.2 GiB kept)
deliveries   14 pending    3 retrying (next 10:00:07)    88 211 delivered    2 failed    0 unknown

SUBSCRIPTION  STATE    MODE               OK  ERR  PENDING  LAST OK  LAST ERROR
erp           active   at-least-once  88 211    4       14  2 s ago  3 h ago  503 Service Unavailable
oms           failing  at-least-once  88 211    4       14  2 s ago  3 h ago  503 Service Unavailable

1 subscription needs attention: spoolhook subs show oms
"
    );
}

#[test]
fn a_delivery_tells_its_story() {
    let end = bench().run("deliveries show 0199e3");
    assert_eq!(
        end.out,
        "\
delivery  0199e3c1-7d2a-8c11-9f2e-1b0d5a3f6c21
event     payment.created (evt_1)
to        default/erp   https://erp.example/hooks   umbra, at-least-once
status    pending (1 of 10 attempts used)
log       01KKGMZ7G00000000000000000 at byte 8812
made      2026-03-12 09:59:54 +00:00
next      10:00:05 (in 5 s)

ATTEMPT  WHEN          RESULT                     TIME  TRIGGER
1        09:59:55.000  503 Service Unavailable  112 ms  first

request   412 B sent to 10.0.0.7:443
response  503  \"upstream \\u{1b}[31mconnect error\"
why       The receiver answered 503. It will be tried again.
try       spoolhook replay 0199e3c1-7d2a-8c11-9f2e-1b0d5a3f6c21
"
    );
    assert_eq!(bench().run("deliveries show ffffff").kind(), ExitKind::No);
}

#[test]
fn deliveries_are_listed_by_filter() {
    let bench = bench();
    let end = bench.run("deliveries list --status failed --since 2h");
    assert_eq!(
        end.out,
        "\
WHEN     STATUS   TYPE             SUBSCRIPTION  RESULT  TRIES  NEXT    ID
5 s ago  pending  payment.created  default/erp   503         1  in 5 s  0199e3c1-7d2a-8c11-9f2e-1b0d5a3f6c21
"
    );
    assert!(end.err.contains("--cursor c2"), "{}", end.err);
    let since = NOON.minus(std::time::Duration::from_secs(7_200));
    assert!(bench.engine.asked.lock().unwrap()[0].contains(&format!("Some({since:?})")));
    assert_eq!(bench.run("deliveries list --status lost").kind(), ExitKind::Usage);
}

#[test]
fn json_is_the_engines_own() {
    let bench = bench();
    let events = bench.run("events list --json").out;
    assert!(events.contains("9007199254740993") && events.ends_with("}\n"), "{events}");
    let lines = bench.run("deliveries list --jsonl").out;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&lines).unwrap()["id"], DELIVERY);
    let hooks = bench.run("subs list --jsonl").out;
    assert_eq!(hooks.lines().count(), 2);
    for command in ["status", "subs show erp", "audit", "quarantine list", "version", "events show evt_1"] {
        let end = bench.run(&format!("{command} --json"));
        assert_eq!(end.out.lines().count(), 1, "{command}: {}", end.out);
        serde_json::from_str::<serde_json::Value>(&end.out).unwrap();
    }
}

#[test]
fn an_event_says_who_takes_it_and_why() {
    let bench = bench();
    let end = bench.run("events show evt_1");
    assert!(
        end.out.contains("default/erp   yes       payment.created matches             delivered  0199e3c1"),
        "{}",
        end.out
    );
    assert!(end.out.contains("default/oms   no        no pattern matches payment.created\n"), "{}", end.out);
    let file = bench.dir.path().join("e.json");
    std::fs::write(&file, "{").unwrap();
    assert_eq!(bench.run(&format!("events match {}", file.display())).kind(), ExitKind::BadData);
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(bench.run(&format!("events match {}", file.display())).kind(), ExitKind::Done);
}

#[test]
fn the_books_that_differ_are_a_no() {
    let end = bench().run("audit");
    assert_eq!(end.kind(), ExitKind::No);
    assert!(end.out.starts_with("spool  12 lines = 10 events + 1 blank + 1 quarantined\n"), "{}", end.out);
    assert!(end.out.ends_with("difference  default/erp: matched 10, accounted for 9\n"), "{}", end.out);
}

#[test]
fn replays_need_consent_and_answer_for_each_id() {
    let bench = bench();
    let end = bench.run("replay 0199e3");
    assert_eq!(end.kind(), ExitKind::No);
    assert!(end.out.contains("say --yes"), "{}", end.out);
    assert_eq!(bench.run("replay 0199e3 0199e3c1").kind(), ExitKind::Usage);
    let end = bench.run("replay 0199e3 ffffff --yes");
    assert_eq!(end.kind(), ExitKind::No);
    assert_eq!(
        end.out,
        format!("accepted  {DELIVERY}  will be sent to erp\nrefused   ffffff  there is no such delivery\n")
    );
    assert_eq!(bench.run("replay 0199e3 --yes").kind(), ExitKind::Done);
}

#[test]
fn subscriptions_pause() {
    let end = bench().run("subs pause default/erp");
    assert_eq!(end.out, "default/erp  paused  14 pending\n");
    let end = bench().run("subs show omz");
    assert_eq!(end.kind(), ExitKind::No);
    assert_eq!(end.err, "error: there is no such subscription; spoolhook subs list names them\n");
}

#[test]
fn a_reload_of_a_bad_file_is_78() {
    let end = bench().run("reload --wait");
    assert_eq!(end.kind(), ExitKind::BadConfig);
    assert_eq!(end.out, "error[E001]: unknown key `event`\n");
    assert_eq!(end.err, "error: 1 error, the old configuration stays in force\n");
}

#[test]
fn quarantined_lines_can_be_seen_and_dropped() {
    let bench = bench();
    assert!(bench.run("quarantine list").out.contains("orders.ndjson  invalid_json   9 B"));
    assert!(bench.run("quarantine show 01KKGMZ7G00000000000000000-77").out.contains("bytes   {\"type\" 1}"));
    assert_eq!(bench.run("quarantine retry 1-77").kind(), ExitKind::BadData);
    assert_eq!(bench.run("quarantine drop 1-77").kind(), ExitKind::Usage);
    assert_eq!(bench.run("quarantine drop 1-77 --yes").kind(), ExitKind::Done);
}

#[test]
fn tail_follows_until_the_engine_goes() {
    let bench = bench();
    let (socket, out) = (bench.dir.path().join("s.sock"), Captured::default());
    let shown = out.clone();
    let tail = std::thread::spawn(move || run_into(&socket, "tail --failed", out));
    while !bench.live.is_watched() {
        std::thread::yield_now();
    }
    for status in [DeliveryStatus::Delivered, DeliveryStatus::Pending, DeliveryStatus::Failed] {
        bench.live.announce(attempt_line(status));
    }
    while shown.text().lines().count() < 2 {
        std::thread::yield_now();
    }
    bench.admin.stop();
    let end = tail.join().unwrap();
    assert_eq!(end.kind(), ExitKind::Unreachable);
    assert!(end.out.lines().all(|line| line.contains("503")), "{}", end.out);
}

#[test]
fn send_writes_the_spool_and_waits_for_the_engine() {
    let bench = bench();
    for name in ["in", "tmp"] {
        std::fs::create_dir(bench.dir.path().join(name)).unwrap();
    }
    let spool = bench.dir.path().display();
    let end = bench.run(&format!("send payment.created -d {{\"n\":1.10}} --id evt_1 --fsync --wait --spool {spool}"));
    assert_eq!(end.kind(), ExitKind::Done, "{}", end.err);
    assert_eq!(end.out, "accepted evt_1\ndelivered to erp after 0 ms\n");
    let entry = std::fs::read_dir(bench.dir.path().join("in")).unwrap().next().unwrap().unwrap();
    let line = std::fs::read_to_string(entry.path()).unwrap();
    assert_eq!(line, "{\"type\":\"payment.created\",\"id\":\"evt_1\",\"data\":{\"n\":1.10}}\n");
    assert!(Cli::read(["spoolhook", "send", "not a type"]).is_err());
}

#[test]
fn without_an_engine_the_answer_is_69_and_help() {
    let end = run(Path::new("/nonexistent/s.sock"), "status");
    assert_eq!(end.kind(), ExitKind::Unreachable);
    assert_eq!(end.out, "");
    assert!(
        end.err
            .starts_with("error: cannot reach spoolhook at /nonexistent/s.sock: no such file\n  help: is it running?"),
        "{}",
        end.err
    );
}

#[test]
fn completions_and_version_need_nothing() {
    let nowhere = Path::new("/nonexistent");
    assert!(run(nowhere, "completions bash").out.contains("spoolhook"));
    assert_eq!(run(nowhere, "version").out, format!("spoolhook {}\n", env!("CARGO_PKG_VERSION")));
}
