//! `state`: what the engine remembers, with the engine stopped.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde_json::json;

use super::super::backup;
use super::super::context::Context;
use super::super::error::{CliError, ExitKind};
use super::super::human::{clean, plural};
use super::super::places;
use super::super::style::{Tone, paint};
use crate::env::{Files, OsFiles};
use crate::store::{self, DumpLine, ExportError, ImportError, LockError, PartReport, State, StateError, StateLock};

/// Look at what the engine remembers, with the engine stopped
#[derive(Debug, clap::Args)]
#[command(before_help = "Examples:
  spoolhook state verify                       are journal, view and checkpoints whole? 1 when not
  spoolhook state export > state.ndjson        every row, one JSON object per line
  spoolhook state import state.ndjson          and back, where there is no state

An export holds what is pending, failed or unknown, and every count; the history of attempts stays in the journal.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what is whole and what is damaged, and change nothing
    Verify,
    /// Print the ledger and every row that is kept, one JSON object per line
    Export,
    /// Make a state from an export, where there is none
    Import {
        /// What `export` printed; `-` is stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub fn run(args: Args, context: &mut Context) -> Result<(), CliError> {
    let dir = places::state(&context.global)?;
    match args.action {
        Action::Verify => verify(&dir, context),
        Action::Export => export(&dir, context),
        Action::Import { file } => import(&dir, &file, context),
    }
}

fn held(error: LockError) -> CliError {
    let text = error.to_string();
    match error {
        LockError::Held { .. } => {
            CliError::new(ExitKind::Io, text).help("stop the engine first: systemctl stop spoolhook")
        }
        LockError::Io { .. } => CliError::new(ExitKind::Io, text),
    }
}

fn failed(error: StateError) -> CliError {
    match error {
        StateError::Lock(error) => held(error),
        error => CliError::new(ExitKind::Io, error.to_string()),
    }
}

fn expect_state(dir: &Path) -> Result<(), CliError> {
    match dir.join("journal").is_dir() || dir.join("checkpoint").is_dir() {
        true => Ok(()),
        false => Err(CliError::new(ExitKind::No, format!("there is no state in {}", dir.display()))),
    }
}

fn verify(dir: &Path, context: &mut Context) -> Result<(), CliError> {
    expect_state(dir)?;
    let _lock = StateLock::take(dir).map_err(held)?;
    let parts = store::verify(&OsFiles, dir).map_err(failed)?;
    if context.out.is_human() {
        let lines: Vec<String> = parts.iter().map(line).collect();
        context.out.text(&lines.concat())?;
    } else {
        let part = |part: &PartReport| json!({"part": part.part, "ok": part.is_well, "detail": part.detail});
        let all: Vec<_> = parts.iter().map(part).collect();
        context.out.document(json!({"state": dir, "parts": all}).to_string().as_bytes())?;
    }
    match parts.iter().all(|part| part.is_well) {
        true => Ok(()),
        false => Err(CliError::silent(ExitKind::No)),
    }
}

fn line(part: &PartReport) -> String {
    let word = if part.is_well { paint(Tone::Good, "ok  ") } else { paint(Tone::Bad, "FAIL") };
    format!("{word}  {:<28}  {}\n", part.part, clean(&part.detail))
}

fn export(dir: &Path, context: &mut Context) -> Result<(), CliError> {
    expect_state(dir)?;
    let (state, opened) = State::open(Arc::new(OsFiles), dir, context.now()).map_err(failed)?;
    opened.notices.iter().for_each(|notice| context.out.say(&format!("found: {notice}")));
    let mut out = BufWriter::new(io::stdout().lock());
    let count = store::export(&state.reader(), |line| {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")
    });
    let count = count.and_then(|count| out.flush().map(|()| count).map_err(ExportError::from));
    match count {
        Ok(count) => {
            context.out.say(&plural(count, "row"));
            Ok(())
        }
        Err(ExportError::Write(error)) => Err(error.into()),
        Err(ExportError::State(error)) => Err(failed(error)),
    }
}

fn import(dir: &Path, file: &Path, context: &mut Context) -> Result<(), CliError> {
    std::fs::create_dir_all(dir).map_err(|error| CliError::file("make", dir, &error))?;
    let _lock = StateLock::take(dir).map_err(held)?;
    if backup::is_in_use(dir) {
        return Err(CliError::new(ExitKind::No, format!("there is a state in {} already", dir.display()))
            .help("move it away first; nothing was changed"));
    }
    let input: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(file).map_err(|error| CliError::file("read", file, &error))?),
    };
    let lines = BufReader::new(input).lines().map(|line| {
        let line = line.map_err(|error| error.to_string())?;
        serde_json::from_str::<DumpLine>(&line).map_err(|error| error.to_string())
    });
    let files: Arc<dyn Files> = Arc::new(OsFiles);
    let count = store::import(&files, dir, lines, context.now()).map_err(|error| match error {
        ImportError::State(error) => failed(error),
        error => CliError::new(ExitKind::BadData, format!("{}: {error}", file.display())),
    })?;
    context.out.say(&format!("{}; the next start makes the state of them", plural(count, "row")));
    Ok(())
}
