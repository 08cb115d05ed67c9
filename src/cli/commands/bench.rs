//! `bench`: what the engine does on this machine and this disk.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::super::bench::{Report, page, table};
use super::super::context::Context;
use super::super::error::{CliError, ExitKind, reason};
use super::super::human::{count, span};
use super::super::output::Output;
use super::super::progress::Progress;
use super::super::style::{Tone, paint};
use crate::admin::{Signal, watch_signals};
use crate::bench::{self, BenchError, CASES, Case, Place, Watcher};
use crate::env::raise_open_files;

/// Measure the engine on this machine and this disk
///
/// Runs real engines, one after the other, each a process of its own with every sync on, in a fresh directory on the
/// disk of --dir, against a receiver in this process; nothing leaves the machine. The floor is a client on bare sockets
/// that sends the same requests: compare ratios, machines differ. Prints a table and writes a report with plots.
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook bench                                  about two minutes; the report is spoolhook-bench.html
  spoolhook bench --dir /var/spool --seconds 600   on another disk, with more patience
  spoolhook bench --only floor,at-least-once       some of it
  spoolhook bench --json --output /tmp/bench.html  for a program")]
pub struct Args {
    /// About how long all of it takes
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,
    /// What to measure, separated by commas [default: everything]
    #[arg(long, value_name = "NAMES", value_delimiter = ',',
        value_parser = PossibleValuesParser::new(CASES.iter().map(|case| case.name)))]
    only: Vec<String>,
    /// A directory on the disk to measure; what is made in it is removed again
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where the HTML report goes; - is stdout
    #[arg(short, long, value_name = "FILE", default_value = "spoolhook-bench.html")]
    output: PathBuf,
    /// Leave the engines' directories where they are
    #[arg(long)]
    keep: bool,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let is_stdout = args.output.as_os_str() == "-";
    if is_stdout && !context.out.is_human() {
        return Err(CliError::new(ExitKind::Usage, "the report and --json cannot both go to stdout")
            .help("write the report to a file: --output FILE"));
    }
    if !is_stdout {
        check_output(&args.output)?;
    }
    let signals = watch_signals()
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot watch for signals: {}", reason(&error))))?;
    let machine = bench::describe(&args.dir).map_err(|error| CliError::file("use", &args.dir, &error))?;
    let cases: Vec<Case> = CASES.iter().filter(|case| is_chosen(&args.only, case)).copied().collect();
    say_where(&mut context.out, &machine);
    // With few descriptors the larger cases say what is missing.
    let _ = raise_open_files();

    let date = context.now();
    let budget = Duration::from_secs(args.seconds);
    let plan = Plan { dir: &machine.dir, is_kept: args.keep, cases: &cases, budget };
    let figures = measure(&plan, &signals, &mut context.out)?;
    let report = Report { machine: &machine, caveats: machine.caveats(), date: date.to_string(), figures: &figures };
    let html = page::render(&report);
    if is_stdout {
        context.out.say(table::render(&figures).trim_end());
        return context.out.text(&html);
    }
    std::fs::write(&args.output, html).map_err(|error| CliError::file("write", &args.output, &error))?;
    if !context.out.is_human() {
        return context.out.document(report.json(&args.output).to_string().as_bytes());
    }
    context.out.text(&table::render(&figures))?;
    context.out.say(&format!("\nreport  {}", args.output.display()));
    Ok(())
}

fn is_chosen(only: &[String], case: &Case) -> bool {
    only.is_empty() || only.iter().any(|name| name == case.name)
}

/// Better to know before the two minutes than after them.
fn check_output(file: &Path) -> Result<(), CliError> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fault = match std::fs::metadata(dir) {
        Err(error) => Some(error),
        Ok(_) if file.is_dir() => Some(io::ErrorKind::IsADirectory.into()),
        Ok(_) => None,
    };
    fault.map_or(Ok(()), |error| Err(CliError::file("write", file, &error)))
}

fn say_where(out: &mut Output, machine: &bench::Machine) {
    if !out.is_human() {
        return;
    }
    let (dir, filesystem, device) = (machine.dir.display(), &machine.filesystem, &machine.device);
    out.say(&format!("spoolhook {} on {}, {} cores", machine.version, machine.cpu, machine.cores));
    out.say(&format!("disk      {dir} ({filesystem} on {device})"));
    for caveat in machine.caveats() {
        out.say(&paint(Tone::Warn, &format!("note      {caveat}")));
    }
}

/// What to measure, where and how long.
struct Plan<'a> {
    dir: &'a Path,
    is_kept: bool,
    cases: &'a [Case],
    budget: Duration,
}

/// Runs the cases in a directory that is gone afterwards, unless it is to stay.
fn measure(plan: &Plan<'_>, signals: &Receiver<Signal>, out: &mut Output) -> Result<Vec<bench::Figures>, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot find this program: {}", reason(&error))))?;
    let mut home = tempfile::Builder::new()
        .prefix("spoolhook-bench.")
        .tempdir_in(plan.dir)
        .map_err(|error| CliError::file("make a directory in", plan.dir, &error))?;
    home.disable_cleanup(plan.is_kept);
    let place = Place { program, dir: home.path().to_owned(), is_kept: plan.is_kept };
    let progress = Progress::new(out, plan.budget);
    let mut audience = Audience { out, progress, signals, before: Duration::ZERO, running: Duration::ZERO, label: "" };
    let figures = bench::run(&place, plan.cases, plan.budget, &mut audience);
    drop(audience);
    if plan.is_kept {
        out.say(&format!("kept      {}", home.path().display()));
    }
    figures.map_err(refusal)
}

/// The person who waits, and may lose patience.
struct Audience<'a> {
    out: &'a mut Output,
    progress: Progress,
    signals: &'a Receiver<Signal>,
    /// What the cases before took, as planned.
    before: Duration,
    running: Duration,
    label: &'static str,
}

impl Watcher for Audience<'_> {
    fn begin(&mut self, case: &Case, time: Duration) {
        self.before += std::mem::replace(&mut self.running, time);
        self.label = case.label;
        self.progress.step(self.out, &format!("{}, about {}", case.label, span(time)));
    }

    fn progress(&mut self, share: f64, deliveries: u64) {
        let label = self.label;
        let text = || match deliveries {
            0 | 1 => label.to_owned(),
            _ => format!("{label}: {} deliveries", count(deliveries)),
        };
        self.progress.reach(self.before + self.running.mul_f64(share), text);
    }

    fn pause(&mut self, time: Duration) -> Result<(), BenchError> {
        match self.signals.recv_timeout(time) {
            // A terminal that is gone is no reason to lose the report.
            Err(RecvTimeoutError::Timeout) | Ok(Signal::Hangup) => Ok(()),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => Err(BenchError::Interrupted),
        }
    }
}

fn refusal(error: BenchError) -> CliError {
    match error {
        BenchError::Interrupted => CliError::silent(ExitKind::Interrupted),
        BenchError::Io { ref source, .. } => {
            let kind = match source.kind() {
                io::ErrorKind::PermissionDenied => ExitKind::NotPermitted,
                _ => ExitKind::Io,
            };
            CliError::new(kind, format!("{error}: {}", reason(source)))
        }
        BenchError::Ended { ref log, .. } | BenchError::Stuck { ref log, .. } => {
            let said = CliError::new(ExitKind::Io, error.to_string());
            let said = log.lines().fold(said, |said, line| said.help(super::super::human::clean(line)));
            said.help("--keep leaves its directory for a look")
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::super::super::tests::Screen;
    use super::*;

    #[test]
    fn a_signal_ends_the_wait_and_the_run() {
        let (sender, signals) = unbounded();
        let mut screen = Screen::human();
        let out = &mut screen.context.out;
        let progress = Progress::new(out, Duration::from_secs(1));
        let (before, running) = (Duration::ZERO, Duration::ZERO);
        let mut audience = Audience { out, progress, signals: &signals, before, running, label: "" };
        audience.begin(&CASES[0], Duration::from_secs(9));
        assert!(audience.pause(Duration::from_millis(1)).is_ok());
        sender.send(Signal::Hangup).unwrap();
        assert!(audience.pause(Duration::from_secs(60)).is_ok());
        sender.send(Signal::Terminate).unwrap();
        let end = audience.pause(Duration::from_secs(60)).unwrap_err();
        assert_eq!(refusal(end), CliError::silent(ExitKind::Interrupted));
        drop(audience);
        assert_eq!(screen.err(), "bare sockets, about 9 s\n");
    }

    #[test]
    fn an_engine_that_ended_is_quoted() {
        let error = refusal(BenchError::Ended { case: "floor", log: "one\ntwo\u{1b}[2J".to_owned() });
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ExitKind::Io, "floor: the engine ended before its work was done")
        );
        assert_eq!(error.help[..2], ["one", "two\\u{1b}[2J"]);
    }

    #[test]
    fn a_report_that_cannot_be_written_is_known_at_once() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(check_output(&dir.path().join("report.html")), Ok(()));
        assert_eq!(check_output(Path::new("report.html")), Ok(()));
        assert_eq!(check_output(dir.path()).unwrap_err().kind, ExitKind::Io);
        assert_eq!(check_output(&dir.path().join("no/report.html")).unwrap_err().kind, ExitKind::Io);
    }
}
