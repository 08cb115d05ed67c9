//! `version`: what this binary is.

use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use crate::admin::api::Version;

/// Print the version
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook version
  spoolhook version --json")]
pub struct Args {}

pub fn run(_: Args, context: &mut Context) -> Result<(), CliError> {
    let version = Version::current();
    if context.out.is_human() {
        return context.out.text(&format!("{} {}\n", version.name, version.version));
    }
    let json = serde_json::to_vec(&version)
        .map_err(|error| CliError::new(ExitKind::Io, format!("cannot write the version: {error}")))?;
    context.out.document(&json)
}
