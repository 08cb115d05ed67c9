//! What is wrong with a configuration, as values: where, what, and what to do. Printing for people is in `render.rs`.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::render;

/// A place in a file with the line around it, ready to be shown: secrets are masked already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    pub file: PathBuf,
    /// From 1; 0 when the file as a whole is meant.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// The column after the last one that is meant.
    pub end_column: u32,
    /// What is said under the caret.
    pub label: String,
    pub(super) excerpt: Excerpt,
}

/// The line as it may be shown, and the characters of it (from 0) that the caret marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// One thing to mend (or, as a warning, to look at).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable: `E014`, `W001`. [`super::explain`] says what it means.
    pub code: &'static str,
    pub message: String,
    pub at: Spot,
    /// The other place, when two contradict each other.
    pub also: Option<Box<Spot>>,
    /// What to do: a hint or "did you mean ...".
    pub help: Option<String>,
    /// The setting that is not there, as a JSON pointer from the table that `at` means.
    pub(super) member: Option<String>,
}

impl Problem {
    pub(super) fn new(code: &'static str, at: Spot, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), at, also: None, help: None, member: None }
    }

    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn member(&mut self, pointer: impl Into<String>) -> &mut Self {
        self.member = Some(pointer.into());
        self
    }

    pub(super) fn also(&mut self, spot: Spot) -> &mut Self {
        self.also = Some(Box::new(spot));
        self
    }
}

/// As a terminal shows it, without colour, ending in a newline.
impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&render::problem(self))
    }
}

/// Everything wrong with one configuration. There is at least one error, and nothing was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The configuration file the user named.
    pub file: PathBuf,
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Problems {
    /// `{"errors":[{"code","message","file","line","column","end_column","help"}],"warnings":[]}`; a problem about two
    /// places has `also` with the second one.
    pub fn to_json(&self) -> serde_json::Value {
        problems_json(&self.errors, &self.warnings)
    }
}

/// As a terminal shows it, without colour: the errors, the warnings, and how many there were.
impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.errors.iter().chain(&self.warnings) {
            writeln!(out, "{problem}")?;
        }
        write!(out, "{}: {}, nothing was loaded", self.file.display(), render::count(self.errors.len(), "error"))?;
        if !self.warnings.is_empty() {
            write!(out, " ({})", render::count(self.warnings.len(), "warning"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Errors and warnings in the shape of [`Problems::to_json`], for a configuration that was loaded as well.
pub fn problems_json(errors: &[Problem], warnings: &[Problem]) -> serde_json::Value {
    let errors = errors.iter().map(Written::of).collect::<Vec<_>>();
    let warnings = warnings.iter().map(Written::of).collect::<Vec<_>>();
    serde_json::json!({ "errors": errors, "warnings": warnings })
}

#[derive(Serialize)]
struct Written<'p> {
    code: &'p str,
    message: &'p str,
    #[serde(flatten)]
    at: WrittenSpot,
    help: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    also: Option<WrittenSpot>,
}

#[derive(Serialize)]
struct WrittenSpot {
    file: String,
    line: u32,
    column: u32,
    end_column: u32,
}

impl<'p> Written<'p> {
    fn of(problem: &'p Problem) -> Self {
        Self {
            code: problem.code,
            message: &problem.message,
            at: WrittenSpot::of(&problem.at),
            help: problem.help.as_deref(),
            also: problem.also.as_deref().map(WrittenSpot::of),
        }
    }
}

impl WrittenSpot {
    fn of(spot: &Spot) -> Self {
        Self {
            file: spot.file.display().to_string(),
            line: spot.line,
            column: spot.column,
            end_column: spot.end_column,
        }
    }
}
