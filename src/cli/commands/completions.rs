//! `completions`: scripts for shells.

use clap_complete::Shell;

use super::super::args::Cli;
use super::super::context::Context;
use super::super::error::CliError;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook completions bash > /usr/share/bash-completion/completions/spoolhook
  spoolhook completions fish > ~/.config/fish/completions/spoolhook.fish")]
pub struct Args {
    shell: Shell,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::tree(), "spoolhook", &mut script);
    context.out.bytes(&script)
}
