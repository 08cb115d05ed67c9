//! The command line: each command is one file in `commands/` and one line in its list.
//!
//! stdout is data, stderr is talk. Most commands are questions to the running engine over its unix socket; with
//! `--json` they print the engine's own answer, untouched.

mod args;
mod backup;
mod bench;
mod client;
mod commands;
mod context;
mod demo;
mod doctor;
mod error;
mod glue;
mod human;
mod init;
mod keys;
mod live;
mod logging;
mod output;
mod places;
mod producer;
mod progress;
mod prompt;
mod secret;
mod style;
mod table;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use args::Cli;
use context::Context;
pub use error::{CliError, ExitKind};

/// The whole program: reads the arguments, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(refusal) => {
            // Help and version go to stdout and are no fault; a closed pipe is none either.
            let _ = refusal.print();
            return ExitCode::from(u8::try_from(refusal.exit_code()).unwrap_or(2));
        }
    };
    let mut context = Context::real(cli.global);
    match cli.command.run(&mut context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.out.fault(&error);
            error.kind.into()
        }
    }
}
