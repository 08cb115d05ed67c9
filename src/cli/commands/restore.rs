//! `restore`: a backup back in its place.

use std::fs::File;
use std::io::{self, Seek};
use std::path::PathBuf;

use serde_json::json;

use super::super::backup;
use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use super::super::human::plural;
use super::super::places;
use crate::env::{Files as _, OsFiles};
use crate::store::{LockError, StateLock};

/// Put a backup back, with the engine stopped
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook restore /mnt/usb/hooks.tar
  spoolhook restore --force hooks.tar   also over a state that is there; that one is kept beside it

The engine that starts next knows that its state may be older than what was sent since. What was delivered after the
backup is sent again to at-least-once subscriptions; at-most-once deliveries whose fate is not known become unknown and
are never sent by themselves (spoolhook deliveries list --status unknown).")]
pub struct Args {
    /// A file that `backup` wrote; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put it over a state that is there, which is kept in a directory of its own
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let (state, spool) = (places::state(&context.global)?, places::spool(&context.global)?);
    let shown = args.file.display();
    let read = |error: io::Error| CliError::file("read", &args.file, &error);
    let mut file = match args.file.as_os_str() == "-" {
        true => {
            // It is read twice: nothing is believed before all of it was seen.
            let mut copy = tempfile::tempfile().map_err(read)?;
            io::copy(&mut io::stdin().lock(), &mut copy).map_err(read)?;
            copy.rewind().map_err(read)?;
            copy
        }
        false => File::open(&args.file).map_err(read)?,
    };
    let checked = backup::check(io::BufReader::new(&file)).map_err(read)?.map_err(|reason| {
        CliError::new(ExitKind::BadData, format!("{shown} cannot be restored: {reason}"))
            .help("nothing was changed; take another backup")
    })?;
    // As `init` makes them: producers have a group of their own.
    let made = OsFiles.create_dirs(&state, 0o700).and_then(|()| OsFiles.create_dirs(&spool, 0o2770));
    made.map_err(|error| CliError::file("make", &state, &error))?;
    let _lock = StateLock::take(&state).map_err(|error| match error {
        LockError::Held { .. } => CliError::new(ExitKind::Io, format!("cannot restore: {error}"))
            .help("stop the engine first: systemctl stop spoolhook"),
        LockError::Io { .. } => CliError::new(ExitKind::Io, error.to_string()),
    })?;
    if backup::is_in_use(&state) && !args.force {
        return Err(CliError::new(ExitKind::No, format!("there is a state in {} already", state.display()))
            .help("to put the backup over it: spoolhook restore --force ... (it is kept in a directory beside)"));
    }
    file.rewind().map_err(read)?;
    let placed = backup::place(io::BufReader::new(&file), &checked, (&state, &spool), context.now())
        .map_err(|error| CliError::file("restore into", &state, &error).help("run it again with --force"))?;
    if !context.out.is_human() {
        let json = json!({"at": checked.head.at, "record": checked.head.record, "state_files": placed.state_files,
            "spool_files": placed.spool_files, "left": placed.left, "aside": placed.aside});
        return context.out.document(json.to_string().as_bytes());
    }
    context.out.text(&format!(
        "restored the state of {}: {} of the state, {} of the spool ({} there already)\n",
        checked.head.at,
        plural(placed.state_files, "file"),
        plural(placed.spool_files, "file"),
        placed.left
    ))?;
    if let Some(aside) = placed.aside {
        context.out.say(&format!("the former state is in {}; remove it when nobody needs it", aside.display()));
    }
    context.out.say(
        "start the engine: it makes the view from this and says so; what was delivered since the backup is sent again at \
         least once; at-most-once deliveries whose fate is not known become unknown and are not sent",
    );
    Ok(())
}
