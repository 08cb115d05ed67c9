//! Secrets come from files or standard input, never from flags: a command line is public.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::error::{CliError, ExitKind};
use crate::model::Secret;

/// The secret in a file, without the line break that editors add; `-` is standard input.
pub fn read(path: &Path) -> Result<Secret, CliError> {
    let mut text = String::new();
    match path.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut text).map(drop),
        false => fs::read_to_string(path).map(|content| text = content),
    }
    .map_err(|error| CliError::file("read the secret in", path, &error))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(CliError::new(ExitKind::BadData, format!("the secret in {} is empty", path.display()))),
        secret => Ok(Secret::new(secret)),
    }
}
