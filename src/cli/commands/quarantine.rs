//! `quarantine`: lines that are not events.

use clap::Subcommand;

use super::super::client::{query, segment};
use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::{ago, bytes, clean};
use super::super::prompt::confirm;
use super::super::table::{Align, Table};
use crate::admin::api::{Page, QuarantineAnswer, QuarantineDetail, QuarantineEntry};

/// Look at lines that are not events, read them again or drop them
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook quarantine list
  spoolhook quarantine show 01KKGMZ7G0...-77     the line, and what is wrong with it
  spoolhook quarantine retry 01KKGMZ7G0...-77    read it again, after a change of limits
  spoolhook quarantine drop 01KKGMZ7G0...-77 --yes")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Newest first
    List {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on where the last page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// One line
    Show { id: String },
    /// Read it again
    Retry { id: String },
    /// Give it up for good
    Drop {
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let path = |id: &str| format!("/v1/quarantine/{}", segment(id));
    match args.action {
        Action::List { limit, cursor } => {
            let path = query("/v1/quarantine", [("limit", Some(limit.to_string())), ("cursor", cursor)]);
            let answer = context.get::<Page<QuarantineEntry>>(&path)?;
            context.show_list(&answer, "data", |page, view| list(&page.data, view))
        }
        Action::Show { id } => {
            let answer = context.get::<QuarantineDetail>(&path(&id))?;
            context.show(&answer, show)
        }
        Action::Retry { id } => {
            let answer = context.post::<QuarantineAnswer>(&format!("{}/retry", path(&id)), b"")?;
            context.show(&answer, |answer, _| {
                let event = answer.event_id.as_deref().unwrap_or("-");
                format!("{}   event {}\n", clean(&answer.message), clean(event))
            })
        }
        Action::Drop { id, yes } => {
            if !yes && !confirm(&mut context.out, &format!("Drop {} for good?", clean(&id))) {
                return Err(CliError::new(ExitKind::Usage, format!("{id} was not dropped")).help("say --yes"));
            }
            let answer = context.engine()?.call("DELETE", &path(&id), b"")?.read::<QuarantineAnswer>()?;
            context.show(&answer, |answer, _| format!("{}\n", clean(&answer.message)))
        }
    }
}

fn list(entries: &[QuarantineEntry], view: &View) -> String {
    let mut table = Table::new(&[
        ("WHEN", Align::Left),
        ("SOURCE", Align::Left),
        ("REASON", Align::Left),
        ("SIZE", Align::Right),
        ("ID", Align::Left),
        ("DETAIL", Align::Left),
    ]);
    for entry in entries {
        table.row([
            ago(view.now, Some(entry.at)).into(),
            entry.source.as_str().into(),
            entry.reason.as_str().into(),
            bytes(entry.length).into(),
            entry.id.as_str().into(),
            entry.detail.as_str().into(),
        ]);
    }
    match entries.is_empty() {
        true => "nothing is quarantined\n".to_owned(),
        false => table.render(),
    }
}

fn show(detail: &QuarantineDetail, view: &View) -> String {
    let entry = &detail.entry;
    let cut = if detail.truncated { " (cut)" } else { "" };
    format!(
        "line    {}   {} of {}, {}\nwhy     {}: {}\nbytes   {}{cut}\n",
        entry.id,
        bytes(entry.length),
        clean(&entry.source),
        ago(view.now, Some(entry.at)),
        entry.reason,
        clean(&entry.detail),
        clean(&detail.content),
    )
}
