//! `init`: a working directory to start from.

use std::path::PathBuf;

use serde_json::json;

use super::super::context::Context;
use super::super::error::CliError;
use super::super::init;

/// Make a commented configuration, a spool and a state directory
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook init         here
  spoolhook init hooks   in ./hooks, made if missing")]
pub struct Args {
    /// Where
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    init::write(&args.dir)?;
    let config = args.dir.join("config.toml");
    if !context.out.is_human() {
        return context.out.document(json!({"config": config}).to_string().as_bytes());
    }
    context.out.text(&format!("wrote {} with one example subscription\n", config.display()))?;
    let enter = if args.dir.as_os_str() == "." { String::new() } else { format!("cd {} && ", args.dir.display()) };
    context.out.say(&format!(
        "try it, in three terminals:\n  {enter}spoolhook run\n  \
         {enter}spoolhook listen --secret-file secrets/example.key\n  \
         {enter}spoolhook send invoice.paid -d '{{\"total\":1}}' --wait"
    ));
    Ok(())
}
