//! The `config` room, as `check` sees it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::error::{CliError, ExitKind};
use crate::config::{self, Problem, problems_json};

/// What reading a configuration found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckReport {
    /// The file and the fragments merged with it, in that order.
    pub files: Vec<PathBuf>,
    pub subscriptions: u64,
    pub errors: u64,
    pub warnings: u64,
    /// Every diagnostic with its place and caret, coloured, each followed by an empty line; no summary.
    pub text: String,
    /// `{"errors":[...],"warnings":[...]}`.
    pub json: Value,
}

fn report(files: Vec<PathBuf>, subscriptions: usize, errors: &[Problem], warnings: &[Problem]) -> CheckReport {
    CheckReport {
        files,
        subscriptions: subscriptions as u64,
        errors: errors.len() as u64,
        warnings: warnings.len() as u64,
        text: errors.iter().chain(warnings).map(|problem| format!("{problem}\n")).collect(),
        json: problems_json(errors, warnings),
    }
}

/// Reads and judges the configuration at `path`, its `conf.d` beside it, and the files it names. Problems in it are a
/// report; `Err` means that the file itself cannot be read.
pub fn check(path: &Path) -> Result<CheckReport, CliError> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(CliError::new(ExitKind::BadConfig, format!("cannot read {}: {error}", path.display())));
    }
    Ok(match config::load(path) {
        Ok(loaded) => report(loaded.config.files, loaded.config.subscriptions.len(), &[], &loaded.warnings),
        Err(problems) => report(vec![path.to_owned()], 0, &problems.errors, &problems.warnings),
    })
}
