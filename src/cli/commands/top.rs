//! `top`: subscriptions as they are doing, once a second.

use std::time::Duration;

use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::{ago, bytes, clean, count, long_span, plural, span};
use super::super::keys::{Key, Keys};
use super::super::style::{Tone, paint, tone_of};
use super::super::table::{Align, Cell, Table};
use crate::admin::api::{Status, Webhook};
use crate::model::Timestamp;

/// Watch the subscriptions; q or ^C ends it
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook top
  spoolhook top | head   one look, where nobody watches")]
pub struct Args {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
}

/// Clears what is below and to the right, from the upper left corner on.
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";
const CLEAR: &str = "\u{1b}[2J";

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let first = context.get::<Status>("/v1/status")?;
    let keys = if context.out.is_human() { Keys::take() } else { None };
    let Some(keys) = keys else {
        return context.show(&first, |status, view| render(status, None, view, usize::MAX));
    };
    let mut last: (Timestamp, Status) = (context.now(), first.value);
    let mut before: Option<(Timestamp, Status)> = None;
    context.out.text(CLEAR)?;
    loop {
        let passed = before.as_ref().map(|(at, status)| (last.0.since(*at), status));
        let screen = render(&last.1, passed, &context.view(), keys.rows());
        context.out.text(&format!("{HOME}{}{CLEAR_BELOW}", screen.replace('\n', &format!("{CLEAR_LINE}\r\n"))))?;
        match keys.wait(Duration::from_secs(args.every)) {
            Key::Quit => return Ok(()),
            Key::Interrupt => return Err(CliError::silent(ExitKind::Interrupted)),
            Key::None => {}
        }
        let next = context.get::<Status>("/v1/status")?;
        before = Some(std::mem::replace(&mut last, (context.now(), next.value)));
    }
}

/// Lines above the table and below it.
const FRAME_ROWS: usize = 6;

fn render(status: &Status, before: Option<(Duration, &Status)>, view: &View, rows: usize) -> String {
    let deliveries = &status.deliveries;
    let mut text = format!(
        "{} {}   {} {}   {} behind   {}\n",
        paint(Tone::Bold, "spoolhook"),
        status.version,
        paint(tone_of(&status.state), &status.state),
        long_span(view.now.since(status.started_at)),
        bytes(status.spool.behind_bytes),
        plural(status.spool.events, "event"),
    );
    if let Some(reason) = &status.state_reason {
        text.push_str(&format!("{}\n", paint(Tone::Bad, &clean(reason))));
    }
    text.push_str(&format!(
        "{} pending   {} retrying   {} delivered   {} failed   {} unknown\n\n",
        count(deliveries.pending),
        count(deliveries.retrying),
        count(deliveries.delivered),
        count(deliveries.failed),
        count(deliveries.unknown),
    ));
    let room = rows.saturating_sub(FRAME_ROWS).max(1);
    let mut hooks: Vec<&Webhook> = status.subscriptions.iter().collect();
    // Those in trouble first: they must not fall off the screen.
    hooks.sort_by_key(|hook| (hook.state != "failing", std::cmp::Reverse(hook.counters.pending)));
    let hidden = hooks.len().saturating_sub(room);
    text.push_str(&table(&hooks[..hooks.len() - hidden], before, view));
    if hidden > 0 {
        text.push_str(&format!("and {hidden} more\n"));
    }
    text
}

fn table(hooks: &[&Webhook], before: Option<(Duration, &Status)>, view: &View) -> String {
    let mut table = Table::new(&[
        ("SUBSCRIPTION", Align::Left),
        ("STATE", Align::Left),
        ("OK/S", Align::Right),
        ("ERR/S", Align::Right),
        ("PENDING", Align::Right),
        ("WAITING", Align::Right),
        ("LAST OK", Align::Left),
        ("LAST ERROR", Align::Left),
    ]);
    for hook in hooks {
        let now = &hook.counters;
        let then = before.and_then(|(passed, status)| {
            let found = status.subscriptions.iter().find(|other| other.id == hook.id)?;
            Some((passed, &found.counters))
        });
        let rate = |now: u64, then: Option<(Duration, u64)>| match then {
            Some((passed, then)) if !passed.is_zero() => {
                format!("{:.1}", now.saturating_sub(then) as f64 / passed.as_secs_f64())
            }
            _ => "-".to_owned(),
        };
        let waiting = match now.oldest_due_age_s {
            0 => "-".to_owned(),
            age_s => span(Duration::from_secs(age_s)),
        };
        let last_error = match &now.last_error {
            Some(error) => format!("{}  {error}", ago(view.now, now.last_error_at)),
            None => "never".to_owned(),
        };
        table.row([
            clean(&format!("{}/{}", hook.tenant, hook.name)).as_str().into(),
            Cell::new(tone_of(&hook.state), &hook.state),
            rate(now.success_count, then.map(|(passed, then)| (passed, then.success_count))).into(),
            rate(now.error_count, then.map(|(passed, then)| (passed, then.error_count))).into(),
            count(now.pending).into(),
            waiting.into(),
            ago(view.now, now.last_success_at).into(),
            last_error.into(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::admin::fake::{FakeEngine, NOON};
    use crate::admin::{Caller, Control as _};

    #[test]
    fn rates_come_from_two_looks_and_trouble_stands_first() {
        let before = FakeEngine::default().status(&Caller::socket()).unwrap();
        let mut now = before.clone();
        now.subscriptions[0].counters.success_count += 30;
        let view = View { now: NOON, zone: TimeZone::UTC };
        let text = render(&now, Some((Duration::from_secs(2), &before)), &view, usize::MAX);
        let plain = anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<&str> = plain.lines().collect();
        assert!(lines[4].starts_with("default/oms") && lines[4].contains("failing"), "{plain}");
        assert!(lines[5].starts_with("default/erp") && lines[5].contains("15.0"), "{plain}");
        let short = render(&now, None, &view, FRAME_ROWS + 1);
        assert!(short.contains("and 1 more"), "{short}");
    }
}
