//! Writing an event the way every producer should, with what a person can do about it when that fails.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{CliError, ExitKind};
use crate::producer::{NotJson, ProduceError, Producer};

/// Lines up to the largest `max_line` there is: what the engine takes it says itself.
const MAX_LINE: usize = 64 << 20;

/// Writes `line` as the file `in/<name>.ndjson` of the spool, made in `tmp/` and renamed, so that no reader ever sees a part
/// of it. `durable` makes file and name survive a power cut before this returns.
pub fn write(spool: &Path, name: &str, line: &str, durable: bool) -> Result<PathBuf, CliError> {
    let producer = Producer::open(spool).map(|producer| producer.max_line(MAX_LINE).fsync(durable));
    producer.and_then(|producer| producer.drop_file(name, &[line.as_bytes()])).map_err(fault)
}

/// A record that is no JSON, most often because the shell took the quotes.
pub fn not_json(error: &NotJson) -> CliError {
    CliError::new(ExitKind::BadData, error.to_string())
        .help("text needs quotes of its own: -d '\"text\"'; a file is -d @FILE, standard input is -d -")
}

fn fault(error: ProduceError) -> CliError {
    match error {
        ProduceError::Io { path, source } => {
            let fault = CliError::file("write", &path, &source);
            match source.kind() {
                ErrorKind::NotFound => {
                    fault.help("this is no spool; make one: spoolhook init, or name it: --spool DIR")
                }
                ErrorKind::PermissionDenied => fault.help("producers are members of the spool's group"),
                _ => fault,
            }
        }
        ProduceError::Backpressure { path } => {
            let message = format!("the engine asks producers to wait: {} is there", path.display());
            let fault = CliError::new(ExitKind::Io, message);
            fault.help("its disk is nearly full; free some space, or try again later: spoolhook status")
        }
        error @ ProduceError::NotDurable { .. } => {
            CliError::new(ExitKind::Io, error.to_string()).help("do not send it again: an engine reads it")
        }
        other => CliError::new(ExitKind::BadData, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "{\"type\":\"a.b\",\"data\":1}";

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(dir.path(), "a", LINE, false).unwrap_err();
        assert_eq!((error.kind, error.help.len()), (ExitKind::Io, 1));
        for name in ["in", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let placed = write(dir.path(), "a", LINE, true).unwrap();
        assert_eq!(std::fs::read_to_string(&placed).unwrap(), format!("{LINE}\n"));
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        assert_eq!(write(dir.path(), "a", LINE, false).unwrap_err().kind, ExitKind::Io);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        assert_eq!(write(dir.path(), "b", "{}", false).unwrap_err().kind, ExitKind::BadData);
    }
}
