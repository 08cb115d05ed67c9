//! `backup`: state and spool in one file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::backup;
use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use super::super::glue::offline;
use super::super::human::{bytes, plural};
use super::super::places;
use crate::admin::api::BackupPlan;
use crate::env::{Files as _, OsFiles, raise_open_files};

/// Plans that the engine overtakes before something else must be wrong.
const TRIES: usize = 5;
/// The same, of plans that are overtaken before a byte is copied. Marks of many replays are written every second.
const PLANS: usize = 50;

/// Write the state, and what of the spool is not settled, into one file
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook backup /mnt/usb/hooks.tar            with or without a running engine
  spoolhook backup - | ssh nas 'cat > hooks.tar'
  tar xOf hooks.tar SHA256SUMS                   what is in it

It is a tar file, as private as the state: webhooks made over the API are in it with their secrets, the configuration is
not. The new file is read back before it gets its name.")]
pub struct Args {
    /// Where to; `-` is stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let is_stdout = args.file.as_os_str() == "-";
    if !is_stdout && args.file.exists() {
        return Err(CliError::new(ExitKind::Io, format!("{} is there already", args.file.display()))
            .help("a backup never overwrites anything: give another name, or remove that file"));
    }
    // What may be replaced is open all at once: with few descriptors the error says so.
    let _ = raise_open_files();
    let (mut plans, mut tries) = (0, 0);
    loop {
        let (plan, _lock) = plan(context)?;
        let changed = match backup::hold(&plan)? {
            Ok(held) => {
                let written = match is_stdout {
                    true => held.write(io::BufWriter::new(io::stdout().lock()))?,
                    false => to_file(&args.file, held)?,
                };
                match written {
                    Ok(()) => return tell(context, &plan, &args.file),
                    // Half of it is with the reader already.
                    Err(changed) if is_stdout => return Err(overtaken(&changed)),
                    Err(changed) => {
                        tries += 1;
                        changed
                    }
                }
            }
            Err(changed) => {
                plans += 1;
                changed
            }
        };
        if plans == PLANS || tries == TRIES {
            return Err(overtaken(&changed));
        }
    }
}

fn overtaken(changed: &backup::Changed) -> CliError {
    CliError::new(ExitKind::Io, format!("{} was replaced or removed while it was copied", changed.0))
        .help("what was written is not whole; run it again")
}

/// The engine's plan, or the one of a state that nobody uses, with the lock that keeps it so.
fn plan(context: &mut Context) -> Result<(BackupPlan, Option<offline::Opened>), CliError> {
    match context.post::<BackupPlan>("/v1/backup", b"") {
        Err(unreachable) if unreachable.kind == ExitKind::Unreachable && context.global.socket.is_none() => {
            let (state, spool) = (places::state(&context.global)?, places::spool(&context.global)?);
            match offline::backup(&state, &spool, context.now())? {
                Some((plan, opened)) => Ok((plan, Some(opened))),
                None => Err(unreachable),
            }
        }
        answer => Ok((answer?.value, None)),
    }
}

/// Writes beside the target, reads it back, and gives it its name.
fn to_file(target: &Path, held: backup::Held<'_>) -> Result<Result<(), backup::Changed>, CliError> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let draft = target.with_file_name(name);
    let failed = |what: &'static str| move |error: io::Error| CliError::file(what, target, &error);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
    let mut out = io::BufWriter::with_capacity(1 << 20, file.map_err(failed("write"))?);
    let remove = || drop(OsFiles.unlink(&draft));
    let written = held.write(&mut out).and_then(|written| {
        out.flush()?;
        Ok(written)
    });
    match written {
        Err(error) => {
            remove();
            return Err(CliError::file("write", target, &error));
        }
        Ok(Err(changed)) => {
            remove();
            return Ok(Err(changed));
        }
        Ok(Ok(())) => {}
    }
    out.get_ref().sync_all().map_err(failed("sync"))?;
    let checked = File::open(&draft).and_then(|file| backup::check(io::BufReader::new(file)));
    if let Err(reason) = checked.map_err(failed("read back"))? {
        remove();
        let text = format!("{} does not read back: {reason}", target.display());
        return Err(CliError::new(ExitKind::Io, text).help("the disk it is written to may be failing"));
    }
    OsFiles.rename_new(&draft, target).map_err(failed("write"))?;
    let made = File::open(target).and_then(|file| backup::make_durable(&file, target));
    made.map_err(failed("sync"))?;
    Ok(Ok(()))
}

fn tell(context: &mut Context, plan: &BackupPlan, file: &Path) -> Result<(), CliError> {
    let size: u64 = plan.files.iter().map(|file| file.bytes).sum();
    if plan.waiting_files > 0 {
        context.out.say(&format!(
            "{} in the spool's in/ not part of it: no engine has taken them in yet",
            match plan.waiting_files {
                1 => "1 file is".to_owned(),
                count => format!("{count} files are"),
            }
        ));
    }
    let text = format!("{} ({}) as of {}", plural(plan.files.len() as u64, "file"), bytes(size), plan.at);
    if file.as_os_str() == "-" {
        context.out.say(&text);
        return Ok(());
    }
    if context.out.is_human() {
        return context.out.text(&format!("wrote {}: {text}\n", file.display()));
    }
    let json = json!({"file": file, "at": plan.at.to_string(), "record": plan.record, "files": plan.files.len(),
        "bytes": size, "waiting_files": plan.waiting_files});
    context.out.document(json.to_string().as_bytes())
}
