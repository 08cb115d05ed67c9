//! `audit`: do the books balance?

use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::glue::offline;
use super::super::human::{clean, count, plural};
use super::super::places;
use super::super::style::{Tone, paint};
use super::super::table::{Align, Cell, Table};
use crate::admin::api::{Books, DeliveryBooks};

/// Recompute the books from the files and the state, with or without an engine; 1 when they differ
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook audit
  spoolhook audit --json | jq .differences

For the spool: lines = events + blank + quarantined. For every subscription:
matched = delivered + failed + unknown + cancelled + expired + dropped + pending")]
pub struct Args {}

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    let answer = match context.get::<Books>("/v1/audit") {
        Err(unreachable) if unreachable.kind == ExitKind::Unreachable && is_ours(context) => {
            let (state, spool) = (places::state(&context.global)?, places::spool(&context.global)?);
            let Some(audited) = offline::audit(&state, &spool, context.now())? else { return Err(unreachable) };
            context.out.say("no engine runs; these are the books as it left them");
            audited.found.iter().for_each(|notice| context.out.say(&format!("found: {notice}")));
            audited.answer
        }
        answer => answer?,
    };
    context.show(&answer, render)?;
    match answer.value.differences.is_empty() {
        true => Ok(()),
        false => Err(CliError::silent(ExitKind::No)),
    }
}

/// Whether the state and the spool are those that the configuration here names.
fn is_ours(context: &Context) -> bool {
    context.global.socket.is_none() && context.global.url.is_none()
}

fn render(books: &Books, _: &View) -> String {
    let spool = &books.spool;
    let mut text = format!(
        "spool  {} = {} + {} blank + {} quarantined\n\n",
        plural(spool.lines, "line"),
        plural(spool.events, "event"),
        count(spool.blank),
        count(spool.quarantined),
    );
    let numbers = ["MATCHED", "DELIVERED", "FAILED", "UNKNOWN", "CANCELLED", "EXPIRED", "DROPPED", "PENDING"];
    let mut columns = vec![("SUBSCRIPTION", Align::Left)];
    columns.extend(numbers.map(|name| (name, Align::Right)));
    let mut table = Table::new(&columns);
    for row in &books.subscriptions {
        table.row(cells(format!("{}/{}", row.tenant, row.subscription), row.deliveries));
    }
    if books.tenants.len() > 1 {
        for row in &books.tenants {
            table.row(cells(format!("{}, all", row.tenant), row.deliveries));
        }
    }
    text.push_str(&table.render());
    match books.differences.is_empty() {
        true => text.push_str(&format!("\n{}\n", paint(Tone::Good, "the books balance"))),
        false => {
            text.push('\n');
            for difference in &books.differences {
                text.push_str(&format!("{}  {}\n", paint(Tone::Bad, "difference"), clean(difference)));
            }
        }
    }
    text
}

fn cells(name: String, books: DeliveryBooks) -> [Cell; 9] {
    let cell = |number: u64| Cell::from(count(number));
    [
        name.into(),
        cell(books.matched),
        cell(books.delivered),
        cell(books.failed),
        cell(books.unknown),
        cell(books.cancelled),
        cell(books.expired),
        cell(books.dropped),
        cell(books.pending),
    ]
}
