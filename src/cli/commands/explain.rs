//! `explain`: what a code of a diagnostic means.

use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use crate::config;

/// Explain a code such as E014, offline
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook explain E014")]
pub struct Args {
    /// As `check` prints it
    code: String,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let code = args.code.to_uppercase();
    let Some(text) = config::explain(&code) else {
        return Err(CliError::new(ExitKind::No, format!("there is no code {code}"))
            .help("codes are printed by: spoolhook check"));
    };
    match context.out.is_human() {
        true => context.out.text(&format!("{code}: {text}\n")),
        false => context.out.document(serde_json::json!({"code": code, "text": text}).to_string().as_bytes()),
    }
}
