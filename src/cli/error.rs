//! How a command ends when it does not end well: an exit code from the one list, and what a person should read.

use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The exit codes (sysexits.h where one exists).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitKind {
    Done = 0,
    /// The command ran and its answer is no.
    No = 1,
    Usage = 2,
    /// EX_DATAERR: a line or a body is not what it should be.
    BadData = 65,
    /// EX_UNAVAILABLE: the engine cannot be reached.
    Unreachable = 69,
    /// EX_SOFTWARE: a thread panicked or hangs.
    Internal = 70,
    /// EX_IOERR.
    Io = 74,
    /// EX_NOPERM.
    NotPermitted = 77,
    /// EX_CONFIG.
    BadConfig = 78,
    /// 128 + SIGINT.
    Interrupted = 130,
}

impl From<ExitKind> for ExitCode {
    fn from(kind: ExitKind) -> Self {
        ExitCode::from(kind as u8)
    }
}

/// Why a command did not do what was asked: what and where in `message`, what to do in `help`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    pub kind: ExitKind,
    /// Empty when everything was said already.
    pub message: String,
    /// One line each.
    pub help: Vec<String>,
}

impl CliError {
    pub fn new(kind: ExitKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: Vec::new() }
    }

    /// Ends with `kind` and says nothing more.
    pub fn silent(kind: ExitKind) -> Self {
        Self::new(kind, "")
    }

    /// A failed operation on `path`; the code tells missing permission from the rest.
    pub fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ExitKind::NotPermitted,
            _ => ExitKind::Io,
        };
        Self::new(kind, format!("cannot {what} {}: {}", path.display(), reason(error)))
    }

    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// What went wrong, without the number the standard library adds: `No such file or directory`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Writing to stdout or stderr failed. A reader that has gone away (`| head`) is no fault.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(ExitKind::Done),
            _ => Self::new(ExitKind::Io, format!("cannot write the output: {}", reason(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_fault() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((error.kind, error.message.as_str()), (ExitKind::Done, ""));
    }

    #[test]
    fn messages_carry_no_os_numbers() {
        assert_eq!(reason(&io::Error::from_raw_os_error(2)), "No such file or directory");
    }
}
