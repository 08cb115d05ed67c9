//! The commands: one file and one line in the list each. A file holds the arguments, what is done, and how the result
//! reads to a person.

mod alerts;
mod audit;
mod backup;
mod bench;
mod check;
mod completions;
mod deliveries;
mod demo;
mod doctor;
mod events;
mod explain;
mod grafana;
mod init;
mod listen;
mod man;
mod openapi;
mod quarantine;
mod reload;
mod replay;
mod replay_jobs;
mod restore;
mod run;
mod send;
mod sign;
mod state;
mod status;
mod subs;
mod tail;
mod token;
mod top;
mod verify;
mod version;

use clap::Subcommand;

use super::context::Context;
use super::error::CliError;

macro_rules! commands {
    ($($name:ident => $module:ident,)*) => {
        /// Every command, in the order of the help.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($name($module::Args),)*
        }

        impl Command {
            pub fn run(self, context: &mut Context) -> Result<(), CliError> {
                match self {
                    $(Self::$name(args) => $module::run(args, context),)*
                }
            }
        }
    };
}

commands! {
    Run => run,
    Demo => demo,
    Init => init,
    Check => check,
    Send => send,
    Listen => listen,
    Status => status,
    Tail => tail,
    Events => events,
    Deliveries => deliveries,
    Replay => replay,
    Subs => subs,
    Quarantine => quarantine,
    Audit => audit,
    Backup => backup,
    Restore => restore,
    State => state,
    Doctor => doctor,
    Explain => explain,
    Top => top,
    Man => man,
    Openapi => openapi,
    Grafana => grafana,
    Alerts => alerts,
    Reload => reload,
    Token => token,
    Sign => sign,
    Verify => verify,
    Bench => bench,
    Completions => completions,
    Version => version,
}
