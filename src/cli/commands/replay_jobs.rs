//! Replays of many deliveries: how far they are, and ending them.

use std::time::Duration;

use super::super::client::{query, segment};
use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::{ago, clean, count, span};
use super::super::output::Format;
use super::super::progress::Progress;
use super::super::style::{Tone, paint};
use super::super::table::{Align, Cell, Table};
use super::replay::Job;
use crate::admin::api::{Page, ReplayJob, ReplayStatus};
use crate::admin::{Signal, watch_signals};

/// Between two looks at a replay that is under way.
const LOOK: Duration = Duration::from_millis(500);
/// Where nobody watches a bar, a line comes this often.
const TELL: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Go on where the last page ended
    #[arg(long)]
    cursor: Option<String>,
}

pub fn run(job: Job, context: &mut Context) -> Result<(), CliError> {
    match job {
        Job::List(ListArgs { limit, cursor }) => {
            let path = query("/v1/replays", [("limit", Some(limit.to_string())), ("cursor", cursor)]);
            let answer = context.get::<Page<ReplayJob>>(&path)?;
            context.show_list(&answer, "data", |page, view| list(&page.data, view))?;
            match &answer.value.next_cursor {
                Some(cursor) if context.out.is_human() => {
                    context.out.say(&format!("more: the same command with --cursor {cursor}"));
                }
                _ => {}
            }
            Ok(())
        }
        Job::Show { id } => {
            let answer = context.get::<ReplayJob>(&format!("/v1/replays/{}", segment(&id)))?;
            context.show(&answer, show)
        }
        Job::Cancel { id } => {
            let answer = context.delete::<ReplayJob>(&format!("/v1/replays/{}", segment(&id)))?;
            context.show(&answer, show)
        }
    }
}

fn tone(job: &ReplayJob) -> Tone {
    match job.status {
        ReplayStatus::Running | ReplayStatus::Cancelled => Tone::Warn,
        ReplayStatus::Done if job.failed + job.skipped > 0 => Tone::Bad,
        ReplayStatus::Done => Tone::Good,
    }
}

fn list(jobs: &[ReplayJob], view: &View) -> String {
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("STATUS", Align::Left),
        ("MATCHED", Align::Right),
        ("SENT", Align::Right),
        ("DELIVERED", Align::Right),
        ("FAILED", Align::Right),
        ("BY", Align::Left),
        ("ID", Align::Left),
    ]);
    for job in jobs {
        table.row([
            ago(view.now, Some(job.created_at)).into(),
            Cell::new(tone(job), job.status.as_str()),
            count(job.matched).into(),
            count(job.sent).into(),
            count(job.delivered).into(),
            count(job.failed).into(),
            clean(&job.created_by).into(),
            job.id.as_str().into(),
        ]);
    }
    match jobs.is_empty() {
        true => "no replays\n".to_owned(),
        false => table.render(),
    }
}

fn show(job: &ReplayJob, view: &View) -> String {
    let mut text = format!(
        "replay    {}\nstatus    {}\nmade      {} by {}\n",
        job.id,
        paint(tone(job), job.status.as_str()),
        ago(view.now, Some(job.created_at)),
        clean(&job.created_by),
    );
    text.push_str(&format!("matched   {}\nsent      {}\n", count(job.matched), count(job.sent)));
    text.push_str(&format!("          {}\n", counts(job)));
    if let Some(eta) = job.eta_s {
        text.push_str(&format!("eta       {}\n", span(Duration::from_secs(eta))));
    }
    text
}

/// What became of its deliveries so far.
fn counts(job: &ReplayJob) -> String {
    let mut parts = vec![format!("{} delivered", count(job.delivered)), format!("{} failed", count(job.failed))];
    for (number, word) in [(job.pending, "pending"), (job.skipped, "skipped"), (job.cancelled, "cancelled")] {
        if number > 0 {
            parts.push(format!("{} {word}", count(number)));
        }
    }
    parts.join(", ")
}

/// Tells how far a replay is until everything it sent has its end. `^C` detaches: the replay goes on.
pub fn follow(job: &ReplayJob, context: &mut Context) -> Result<(), CliError> {
    let path = format!("/v1/replays/{}", segment(&job.id));
    let signals =
        watch_signals().map_err(|error| CliError::new(ExitKind::Io, format!("cannot watch for signals: {error}")))?;
    let progress = Progress::of(&context.out, job.matched);
    let is_watched = context.out.is_watched();
    let mut told = context.clock.monotonic();
    let mut last = None;
    let answer = loop {
        let answer = context.get::<ReplayJob>(&path)?;
        let job = &answer.value;
        if context.out.format == Format::JsonLines && last.as_ref() != Some(job) {
            context.out.document(&answer.json)?;
        }
        if job.status != ReplayStatus::Running && job.pending == 0 {
            break answer;
        }
        let line = || {
            let eta = job.eta_s.map_or(String::new(), |eta| format!("   eta {}", span(Duration::from_secs(eta))));
            format!("{}/{}   {}{eta}", count(job.sent), count(job.matched), counts(job))
        };
        progress.count(job.matched - job.pending, || format!("{}   (^C detaches, the replay goes on)", line()));
        let now = context.clock.monotonic();
        if !is_watched && context.out.is_human() && now >= told + TELL {
            told = now;
            context.out.say(&format!("replay {}  {}", job.id, line()));
        }
        last = Some(answer.value);
        if let Ok(Signal::Interrupt | Signal::Terminate) = signals.recv_timeout(LOOK) {
            drop(progress);
            let id = path.rsplit('/').next().unwrap_or_default();
            context.out.say(&format!("detached; the replay goes on: spoolhook replay show {id}"));
            return Err(CliError::silent(ExitKind::Interrupted));
        }
    };
    drop(progress);
    if context.out.format != Format::JsonLines {
        let is_all = |job: &ReplayJob| if job.status == ReplayStatus::Done { "done" } else { "cancelled" };
        context.show(&answer, |job, _| {
            let word = paint(tone(job), is_all(job));
            format!("{word}   {} replayed: {}     spoolhook replay show {}\n", count(job.sent), counts(job), job.id)
        })?;
    }
    let job = &answer.value;
    match job.status == ReplayStatus::Done && job.failed + job.skipped + job.cancelled == 0 {
        true => Ok(()),
        false => Err(CliError::silent(ExitKind::No)),
    }
}
