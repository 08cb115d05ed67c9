//! Where output goes: data to stdout, talk to stderr, each with colour only where somebody sees it.

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::args::{Color, Global};
use super::error::{CliError, ExitKind};
use super::human::clean;
use super::style::{Tone, paint};

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Human,
    /// One document.
    Json,
    /// One object per line.
    JsonLines,
}

/// Both streams and how to use them.
pub struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    pub format: Format,
    quiet: bool,
    /// Whether stderr reaches a person, so that questions make sense.
    pub interactive: bool,
    /// Whether stderr is a terminal.
    is_terminal: bool,
}

impl Output {
    /// The process's own streams.
    pub fn real(global: &Global) -> Self {
        let format = match (global.json, global.jsonl) {
            (true, _) => Format::Json,
            (_, true) => Format::JsonLines,
            _ => Format::Human,
        };
        let is_terminal = io::stderr().is_terminal();
        let interactive = io::stdin().is_terminal() && is_terminal;
        let choice = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self {
            out: Box::new(AutoStream::new(io::stdout(), choice)),
            err: Box::new(AutoStream::new(io::stderr(), choice)),
            format,
            quiet: global.quiet,
            interactive,
            is_terminal,
        }
    }

    /// Streams of a test; colours are dropped.
    #[cfg(test)]
    pub fn captured(out: impl Write + 'static, err: impl Write + 'static, format: Format) -> Self {
        Self {
            out: Box::new(anstream::StripStream::new(Box::new(out) as Box<dyn Write>)),
            err: Box::new(anstream::StripStream::new(Box::new(err) as Box<dyn Write>)),
            format,
            quiet: false,
            interactive: false,
            is_terminal: false,
        }
    }

    pub fn is_human(&self) -> bool {
        self.format == Format::Human
    }

    /// Whether somebody looks on while a command works, so that a bar that moves makes sense.
    pub fn is_watched(&self) -> bool {
        self.is_terminal && self.is_human() && !self.quiet
    }

    /// Data for people, as it stands.
    pub fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// Bytes that are no text of ours. Colour codes in them are subject to the stream like everything else.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.write_all(bytes)?;
        Ok(self.out.flush()?)
    }

    /// One JSON document, as the engine wrote it.
    pub fn document(&mut self, json: &[u8]) -> Result<(), CliError> {
        self.out.write_all(json.trim_ascii_end())?;
        self.out.write_all(b"\n")?;
        Ok(self.out.flush()?)
    }

    /// The members of the list `member` of a document, one per line.
    pub fn lines(&mut self, json: &[u8], member: &str) -> Result<(), CliError> {
        #[derive(Deserialize)]
        struct Members(std::collections::BTreeMap<String, Box<RawValue>>);
        let members: Result<Vec<Box<RawValue>>, _> = serde_json::from_slice(json).and_then(|Members(mut all)| {
            serde_json::from_str(all.remove(member).map_or("[]".into(), |list| list.get().to_owned()).as_str())
        });
        let members = members
            .map_err(|error| CliError::new(ExitKind::Io, format!("the engine's answer cannot be read: {error}")))?;
        for item in members {
            self.document(item.get().as_bytes())?;
        }
        Ok(())
    }

    /// Talk: progress and hints, left out with `--quiet`.
    pub fn say(&mut self, text: &str) {
        if !self.quiet {
            // Talk that nobody can read is no reason to fail.
            let _ = writeln!(self.err, "{text}");
        }
    }

    /// Writes a question; the answer is the caller's.
    pub fn ask(&mut self, question: &str) {
        let _ = write!(self.err, "{question} ");
        let _ = self.err.flush();
    }

    /// What went wrong and what to do, whatever `--quiet` says.
    pub fn fault(&mut self, error: &CliError) {
        if error.message.is_empty() {
            return;
        }
        // Diagnostics of a configuration have lines, and keep them.
        let message: Vec<String> = error.message.lines().map(clean).collect();
        let _ = writeln!(self.err, "{} {}", paint(Tone::Bad, "error:"), message.join("\n"));
        for (index, line) in error.help.iter().enumerate() {
            let label = if index == 0 { "  help:" } else { "       " };
            let _ = writeln!(self.err, "{label} {line}");
        }
    }
}
