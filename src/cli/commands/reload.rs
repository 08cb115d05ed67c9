//! `reload`: load the configuration again, all of it or nothing.

use serde::Deserialize;

use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use crate::admin::api::ReloadReport;

/// Load the configuration again; on a mistake the old one stays
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook reload          78, and what is wrong, when the files are not valid
  spoolhook check && spoolhook reload")]
pub struct Args {
    /// Return when the new configuration is in force (it always does; for scripts that say so)
    #[arg(long)]
    wait: bool,
}

/// What a refusal carries beside the problem.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
    problems_text: String,
}

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    let reply = context.engine()?.call("POST", "/v1/config/reload", b"")?;
    if reply.status == 422
        && let Ok(refusal) = serde_json::from_slice::<Refusal>(&reply.body)
    {
        match context.out.is_human() {
            true => context.out.text(&format!("{}\n", refusal.problems_text.trim_end()))?,
            false => context.out.document(&reply.body)?,
        }
        return Err(CliError::new(ExitKind::BadConfig, refusal.detail));
    }
    let answer = reply.read::<ReloadReport>()?;
    context.show(&answer, |report, _| format!("{}\n", report.message))
}
