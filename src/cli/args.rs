//! What every command understands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};

use super::commands::Command;

/// Webhook delivery engine: a line in a spool file becomes a signed POST.
#[derive(Debug, Parser)]
#[command(
    name = "spoolhook",
    version,
    disable_help_subcommand = true,
    before_help = "Examples:
  spoolhook demo                                     see it work, nothing to configure
  spoolhook init && spoolhook run                    a working directory, and the engine in it
  spoolhook send invoice.paid -d '{\"id\":1}' --wait   write an event and see it delivered
  spoolhook status                                   one screen about the engine
  spoolhook tail --failed                            attempts that failed, as they happen"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the arguments; asking for help or the version is an error, too.
    pub fn read(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut matches = Self::tree().try_get_matches_from(words)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut Self::tree()))
    }

    /// Every command. One beneath another shows those of its examples that are about it.
    pub fn tree() -> clap::Command {
        Self::command().mut_subcommands(|group| {
            let examples = group.get_before_help().map(ToString::to_string).unwrap_or_default();
            let start = format!("  spoolhook {} ", group.get_name());
            group.mut_subcommands(|command| {
                let is_its = |line: &&str| {
                    line.strip_prefix(&start).and_then(|rest| rest.split(' ').next()) == Some(command.get_name())
                };
                let its: Vec<&str> = examples.lines().filter(is_its).collect();
                let text = format!("Examples:\n{}", its.join("\n"));
                if its.is_empty() || command.get_before_help().is_some() { command } else { command.before_help(text) }
            })
        })
    }
}

/// Flags that stand before or after any command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Configuration file [default: ./config.toml, then /etc/spoolhook/config.toml]
    #[arg(short, long, global = true, value_name = "FILE", env = "SPOOLHOOK_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// The engine's unix socket [default: from the configuration]
    #[arg(long, global = true, value_name = "FILE", env = "SPOOLHOOK_SOCKET", hide_env = true)]
    pub socket: Option<PathBuf>,
    /// An engine elsewhere, such as https://appliance:7380; wins over the socket
    #[arg(long, global = true, value_name = "URL", env = "SPOOLHOOK_URL", hide_env = true)]
    pub url: Option<String>,
    /// The file that holds the token for --url
    #[arg(long, global = true, value_name = "FILE", env = "SPOOLHOOK_TOKEN_FILE", hide_env = true)]
    pub token_file: Option<PathBuf>,
    /// Trust the certificates in this file with --url, instead of the public ones
    #[arg(long, global = true, value_name = "FILE", env = "SPOOLHOOK_CA_FILE", hide_env = true)]
    pub ca_file: Option<PathBuf>,
    /// Print one JSON document with the API's keys
    #[arg(long, global = true)]
    pub json: bool,
    /// Print lists and streams as one JSON object per line
    #[arg(long, global = true, conflicts_with = "json")]
    pub jsonl: bool,
    /// Say less on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on stderr; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
}

/// When output is coloured. `auto` follows the terminal, `NO_COLOR` and `CLICOLOR_FORCE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}
