//! `events`: what producers wrote, and who takes it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::super::client::{query, segment};
use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::{clean, count};
use super::super::style::{Tone, tone_of};
use super::super::table::{Align, Cell, Table};
use crate::admin::api::{EventDetail, EventPage, MatchReport, MatchRow};

/// Look at events, and at why a subscription takes them or not
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook events list --limit 20
  spoolhook events list --subscription oms --undelivered --type 'invoice.*'
  spoolhook events show evt_01KKGMZ7G0      the record, and one row per subscription
  spoolhook events match event.json         who would take this event; nothing is sent")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Events in log order, oldest first
    List(ListArgs),
    /// One event and what became of it
    Show { id: String },
    /// Who would take an event: one JSON line in a file, or - for standard input
    Match {
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Go on after this cursor
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Of these types: `*` is one segment, `**` any number
    #[arg(long = "type", value_name = "PATTERN")]
    event_type: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// That this subscription takes: NAME, TENANT/NAME or number
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
    /// Only what that subscription did not get
    #[arg(long, requires = "subscription")]
    undelivered: bool,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    match args.action {
        Action::List(args) => {
            let ListArgs { after, limit, event_type, tenant, subscription, undelivered } = args;
            let only = undelivered.then(|| "undelivered".to_owned());
            let limit = Some(limit.to_string());
            let asked = [
                ("after", after),
                ("limit", limit),
                ("type", event_type),
                ("tenant", tenant),
                ("subscription", subscription),
                ("only", only),
            ];
            let answer = context.get::<EventPage>(&query("/v1/events", asked))?;
            context.show_list(&answer, "data", list)?;
            if context.out.is_human() && answer.value.has_more {
                context.out.say(&format!("more: the same with --after {}", answer.value.next_cursor));
            }
            Ok(())
        }
        Action::Show { id } => {
            let answer = context.get::<EventDetail>(&format!("/v1/events/{}", segment(&id)))?;
            context.show(&answer, show)
        }
        Action::Match { file } => {
            let answer = context.post::<MatchReport>("/v1/events/match", &read(&file)?)?;
            context.show(&answer, |report, _| rows(&report.subscriptions))?;
            match answer.value.subscriptions.iter().any(|row| row.matched) {
                true => Ok(()),
                false => Err(CliError::silent(ExitKind::No)),
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut content = Vec::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_end(&mut content).map(drop),
        false => std::fs::read(file).map(|bytes| content = bytes),
    }
    .map_err(|error| CliError::file("read", file, &error))?;
    Ok(content)
}

fn list(page: &EventPage, _: &View) -> String {
    let mut table = Table::new(&[
        ("TIME", Align::Left),
        ("TYPE", Align::Left),
        ("TENANT", Align::Left),
        ("KEY", Align::Left),
        ("MATCHED", Align::Right),
        ("ID", Align::Left),
    ]);
    for event in &page.data {
        table.row([
            event.time.as_str().into(),
            event.event_type.as_str().into(),
            event.tenant.as_str().into(),
            event.key.as_deref().unwrap_or("-").into(),
            count(u64::from(event.matched)).into(),
            event.id.as_str().into(),
        ]);
    }
    match page.data.is_empty() {
        true => "no events; write one: spoolhook send invoice.paid -d '{}'\n".to_owned(),
        false => table.render(),
    }
}

fn show(detail: &EventDetail, _: &View) -> String {
    let event = &detail.event;
    let mut text = format!(
        "event      {}   {} {}\ntenant     {}   key {}\ntime       {}\nlog        {} at byte {} (event {})\n\
         data       {}\n",
        clean(&event.id),
        clean(&event.event_type),
        event.operation,
        clean(&event.tenant),
        clean(event.key.as_deref().unwrap_or("-")),
        clean(&event.time),
        event.segment,
        event.offset,
        count(event.seq),
        clean(event.data.get()),
    );
    if let Some(old) = &event.old {
        text.push_str(&format!("old        {}\n", clean(old.get())));
    }
    text.push('\n');
    text.push_str(&rows(&detail.subscriptions));
    text
}

fn rows(rows: &[MatchRow]) -> String {
    let mut table = Table::new(&[
        ("SUBSCRIPTION", Align::Left),
        ("TAKES IT", Align::Left),
        ("WHY", Align::Left),
        ("STATUS", Align::Left),
        ("DELIVERY", Align::Left),
    ]);
    for row in rows {
        let (status, delivery) = match &row.delivery {
            Some(delivery) => (delivery.status.as_str(), delivery.id.as_str()),
            None => ("", ""),
        };
        table.row([
            format!("{}/{}", row.tenant, row.subscription).into(),
            if row.matched { Cell::new(Tone::Good, "yes") } else { Cell::new(Tone::Dim, "no") },
            row.reason.as_str().into(),
            Cell::new(tone_of(status), status),
            delivery.into(),
        ]);
    }
    match rows.is_empty() {
        true => "no subscription belongs to this tenant\n".to_owned(),
        false => table.render(),
    }
}
