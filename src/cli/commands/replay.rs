//! `replay`: send deliveries again.

use serde_json::json;

use super::super::client::Answer;
use super::super::context::{Context, View};
use super::super::error::{CliError, ExitKind};
use super::super::human::clean;
use super::super::prompt::confirm;
use super::super::style::{Tone, paint};
use crate::admin::api::Replays;

/// Send deliveries again
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook replay 0199e3c1                now, without waiting for the next retry
  spoolhook replay 0199e3c1 0199e3c2 --yes
  spoolhook deliveries list --status failed --jsonl | jq -r .id | xargs spoolhook replay --yes")]
pub struct Args {
    /// Delivery ids, or unique prefixes of at least 6 characters
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Do not ask; a receiver may then see a delivery twice whose fate is not known
    #[arg(short, long)]
    yes: bool,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    if args.ids.len() > 1 && !args.yes && !confirm(&mut context.out, &format!("Replay {} deliveries?", args.ids.len()))
    {
        return Err(CliError::new(ExitKind::Usage, format!("{} deliveries were not replayed", args.ids.len()))
            .help("say --yes to replay more than one without being asked"));
    }
    let mut answer = ask(context, &args.ids, args.yes)?;
    let doubtful = answer.value.data.iter().any(|row| row.reason.as_deref() == Some("consent_required"));
    if doubtful && confirm(&mut context.out, "It is not known whether the receiver has this already. Send it again?") {
        answer = ask(context, &args.ids, true)?;
    }
    context.show_list(&answer, "data", render)?;
    match answer.value.data.iter().all(|row| row.accepted) {
        true => Ok(()),
        false => Err(CliError::silent(ExitKind::No)),
    }
}

fn ask(context: &mut Context, ids: &[String], consent: bool) -> Result<Answer<Replays>, CliError> {
    context.post("/v1/replays", json!({"ids": ids, "consent": consent}).to_string().as_bytes())
}

fn render(replays: &Replays, _: &View) -> String {
    let mut text = String::new();
    for row in &replays.data {
        let word = if row.accepted { paint(Tone::Good, "accepted") } else { paint(Tone::Bad, "refused ") };
        let hint = match row.reason.as_deref() {
            Some("consent_required") => "   say --yes to send it all the same",
            _ => "",
        };
        let id = row.delivery_id.as_deref().unwrap_or(&row.id);
        text.push_str(&format!("{word}  {}  {}{hint}\n", clean(id), clean(&row.message)));
    }
    text
}
