//! Secrets come from files or standard input, never from flags: a command line is public.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::{CliError, ExitKind};
use crate::model::Secret;

/// The token in a file, without the space around it; `-` is standard input.
pub fn token(path: &Path) -> Result<Secret, CliError> {
    let token = Secret::new(read(path)?.expose().trim());
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    match is_word(token.expose()) {
        true => Ok(token),
        false => Err(CliError::new(ExitKind::BadData, format!("{} holds no token", path.display()))
            .help("make one on the engine's machine: spoolhook token create NAME --scope admin > FILE")),
    }
}

/// Whether every user of this machine can read a file.
pub fn is_open_to_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o004 != 0)
}

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
