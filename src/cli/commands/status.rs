//! `status`: one screen about the engine.

use std::time::Duration;

use super::super::context::{Context, View};
use super::super::error::CliError;
use super::super::human::{ago, bytes, clean, clock, count, long_span, plural};
use super::super::style::{Tone, paint, tone_of};
use super::super::table::{Align, Cell, Table};
use crate::admin::api::{Status, Webhook};

/// A delivery that could be sent and has waited this long is worth a word.
const OVERDUE_S: u64 = 10;
/// Troubles of the spool that are shown.
const PROBLEMS_MAX: usize = 5;

/// Show how the engine is doing
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook status
  spoolhook status --json | jq '.deliveries.pending'")]
pub struct Args {}

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    let answer = context.get::<Status>("/v1/status")?;
    context.show(&answer, render)
}

fn render(status: &Status, view: &View) -> String {
    let mut text = head(status, view);
    text.push_str(&subscriptions(&status.subscriptions, view));
    let troubled: Vec<&Webhook> = status.subscriptions.iter().filter(|hook| hook.state == "failing").collect();
    if let Some(first) = troubled.first() {
        let noun = if troubled.len() == 1 { "subscription needs" } else { "subscriptions need" };
        text.push_str(&format!("\n{} {noun} attention: spoolhook subs show {}\n", troubled.len(), first.name));
    }
    for hook in status.subscriptions.iter().filter(|hook| hook.state == "paused") {
        let (name, reason) = (&hook.name, clean(hook.state_reason.as_deref().unwrap_or("by hand")));
        text.push_str(&format!("\n{name} is paused, events queue: {reason} (spoolhook subs resume {name})\n"));
    }
    text
}

fn head(status: &Status, view: &View) -> String {
    let config = &status.config;
    let changed = if config.changed_on_disk { "changed on disk: spoolhook reload" } else { "unchanged on disk" };
    let mut text = format!(
        "{} {}   {} {}   pid {}   config {} (loaded {}, {changed})\n",
        paint(Tone::Bold, "spoolhook"),
        status.version,
        paint(tone_of(&status.state), &status.state),
        long_span(view.now.since(status.started_at)),
        status.pid,
        config.path,
        clock(&view.zone, config.loaded_at),
    );
    if let Some(reason) = &status.state_reason {
        text.push_str(&format!("{}\n", paint(Tone::Bad, reason)));
    }
    for notice in &status.notices {
        text.push_str(&format!("{}\n", paint(Tone::Warn, &format!("found at the start: {notice}"))));
    }
    let spool = &status.spool;
    for problem in spool.problems.iter().take(PROBLEMS_MAX) {
        text.push_str(&format!("{}\n", paint(Tone::Warn, &clean(problem))));
    }
    if spool.problems.len() > PROBLEMS_MAX {
        text.push_str(&format!("and {} more: spoolhook status --json\n", spool.problems.len() - PROBLEMS_MAX));
    }
    let quarantined = match spool.quarantined {
        0 => String::new(),
        number => format!("    {} quarantined so far: spoolhook quarantine list", count(number)),
    };
    text.push_str(&format!(
        "\nspool        {} behind    last event {}    {} ({} kept){quarantined}\n",
        bytes(spool.behind_bytes),
        ago(view.now, spool.last_event_at),
        plural(spool.events, "event"),
        bytes(spool.kept_bytes),
    ));
    let deliveries = &status.deliveries;
    let next = match deliveries.next_retry_at {
        Some(next) => format!(" (next {})", clock(&view.zone, next)),
        None => String::new(),
    };
    let dropped = match deliveries.dropped {
        0 => String::new(),
        lost => format!("    {}", paint(Tone::Bad, &format!("{} dropped", count(lost)))),
    };
    let overdue = match deliveries.oldest_due_age_s {
        0..OVERDUE_S => String::new(),
        age_s => format!(" (one could be sent and has waited for {})", long_span(Duration::from_secs(age_s))),
    };
    text.push_str(&format!(
        "deliveries   {} pending{overdue}    {} retrying{next}    {} delivered    {} failed    {} unknown{dropped}\n\n",
        count(deliveries.pending),
        count(deliveries.retrying),
        count(deliveries.delivered),
        count(deliveries.failed),
        count(deliveries.unknown),
    ));
    text
}

/// The table that `status` and `subs list` share.
pub fn subscriptions(hooks: &[Webhook], view: &View) -> String {
    let tenants = hooks.iter().any(|hook| hook.tenant != "default");
    let mut table = Table::new(&[
        ("SUBSCRIPTION", Align::Left),
        ("STATE", Align::Left),
        ("MODE", Align::Left),
        ("OK", Align::Right),
        ("ERR", Align::Right),
        ("PENDING", Align::Right),
        ("LAST OK", Align::Left),
        ("LAST ERROR", Align::Left),
    ]);
    for hook in hooks {
        let counters = &hook.counters;
        let name = if tenants { format!("{}/{}", hook.tenant, hook.name) } else { hook.name.clone() };
        let last_error = match &counters.last_error {
            Some(error) => format!("{}  {error}", ago(view.now, counters.last_error_at)),
            None => ago(view.now, counters.last_error_at),
        };
        table.row([
            name.into(),
            Cell::new(tone_of(&hook.state), &hook.state),
            hook.mode.as_str().into(),
            count(counters.success_count).into(),
            count(counters.error_count).into(),
            count(counters.pending).into(),
            ago(view.now, counters.last_success_at).into(),
            last_error.into(),
        ]);
    }
    match hooks.is_empty() {
        true => "no subscriptions; add a [[subscription]] to the configuration, then: spoolhook reload\n".to_owned(),
        false => table.render(),
    }
}
