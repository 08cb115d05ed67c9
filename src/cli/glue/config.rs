//! The `config` room, as `check` sees it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::error::{CliError, ExitKind};

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

/// Reads and judges the configuration at `path`, its `conf.d` beside it, and the files it names. Problems in it are a
/// report; `Err` means that the file itself cannot be read.
pub fn check(path: &Path) -> Result<CheckReport, CliError> {
    Err(CliError::new(ExitKind::BadConfig, format!("cannot judge {}: no configuration reader", path.display())))
}
