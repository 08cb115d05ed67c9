//! `tail`: attempts as they happen.

use super::super::client::{Frames, query};
use super::super::context::Context;
use super::super::error::{CliError, ExitKind, reason};
use super::super::live::{self, Live};

/// Follow attempts as they happen
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook tail
  spoolhook tail --failed --subscription oms
  spoolhook tail --jsonl | jq -r '[.type,.outcome]|@tsv'")]
pub struct Args {
    /// Only attempts that did not deliver
    #[arg(long)]
    failed: bool,
    /// Only this subscription: NAME or TENANT/NAME
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let failed = args.failed.then(|| "true".to_owned());
    let path = query("/v1/stream", [("failed", failed), ("subscription", args.subscription)]);
    let stream = context.engine()?.stream(&path)?;
    context.out.say("following attempts (^C to stop)");
    for frame in Frames(stream) {
        let frame = frame.map_err(|error| CliError::new(ExitKind::Unreachable, reason(&error)))?;
        match live::read(&frame)? {
            Some(Live::Attempt(attempt)) if context.out.is_human() => {
                context.out.text(&format!("{}\n", live::line(&attempt, &context.zone)))?;
            }
            Some(Live::Attempt(_)) => context.out.document(frame.data.as_bytes())?,
            Some(Live::Gap(gap)) => context.out.say(&live::gap(gap)),
            None => {}
        }
    }
    Err(CliError::new(ExitKind::Unreachable, "the engine ended the stream")
        .help("is it still running? spoolhook status"))
}
