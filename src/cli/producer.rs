//! Writing an event the way every producer should: one line in a file of its own, made in `tmp/` and renamed into
//! `in/`, so that no reader ever sees a part of it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::error::{CliError, ExitKind};
use crate::env::{Files, OsFiles};

/// The fields of an event; what is missing the engine fills in.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventFields<'a> {
    pub event_type: &'a str,
    pub id: Option<&'a str>,
    pub tenant: Option<&'a str>,
    pub key: Option<&'a str>,
    pub time: Option<&'a str>,
    pub data: &'a str,
    pub old: Option<&'a str>,
}

impl EventFields<'_> {
    /// The event as one line with its LF. `data` and `old` stay byte for byte, but for line breaks between tokens,
    /// which become spaces.
    pub fn line(&self) -> Result<String, CliError> {
        let mut line = format!("{{\"type\":{}", quoted(self.event_type));
        for (name, value) in [("id", self.id), ("tenant", self.tenant), ("key", self.key), ("time", self.time)] {
            if let Some(value) = value {
                line.push_str(&format!(",\"{name}\":{}", quoted(value)));
            }
        }
        for (name, value) in [("data", Some(self.data)), ("old", self.old)] {
            if let Some(value) = value {
                line.push_str(&format!(",\"{name}\":{}", one_line(name, value)?));
            }
        }
        line.push_str("}\n");
        Ok(line)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// JSON with its line breaks turned into spaces. A JSON string cannot hold a raw line break (RFC 8259 section 7), so
/// all of them lie between tokens.
fn one_line(name: &str, text: &str) -> Result<String, CliError> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => Ok(raw.get().replace(['\n', '\r'], " ")),
        Err(error) => Err(CliError::new(ExitKind::BadData, format!("{name} is not JSON: {error}"))
            .help("text needs quotes of its own: -d '\"text\"'; a file is -d @FILE, standard input is -d -")),
    }
}

/// Writes `line` as the file `in/<name>.ndjson` of the spool. `durable` makes file and name survive a power cut before
/// this returns.
pub fn write(spool: &Path, name: &str, line: &str, durable: bool) -> Result<PathBuf, CliError> {
    let sign = spool.join("BACKPRESSURE");
    if OsFiles.stat(&sign).is_ok() {
        let message = format!("the engine asks producers to wait: {} is there", sign.display());
        let fault = CliError::new(ExitKind::Io, message);
        return Err(fault.help("its disk is nearly full; free some space, or try again later: spoolhook status"));
    }
    let staged = spool.join("tmp").join(format!("{name}.ndjson"));
    let placed = spool.join("in").join(format!("{name}.ndjson"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&staged).map_err(|error| {
        let fault = CliError::file("create", &staged, &error);
        match error.kind() {
            ErrorKind::NotFound => fault.help("this is no spool; make one: spoolhook init, or name it: --spool DIR"),
            ErrorKind::PermissionDenied => fault.help("producers are members of the spool's group"),
            _ => fault,
        }
    })?;
    let written = file.write_all(line.as_bytes()).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
    let result = written
        .and_then(|()| OsFiles.rename_new(&staged, &placed))
        .and_then(|()| if durable { OsFiles.sync_dir(&spool.join("in")) } else { Ok(()) });
    match result {
        Ok(()) => Ok(placed),
        Err(error) => {
            // Once renamed it is gone from here; before that nobody else wants it.
            let _ = OsFiles.unlink(&staged);
            Err(CliError::file("write", &placed, &error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stays_as_written_but_on_one_line() {
        let fields = EventFields {
            event_type: "invoice.paid",
            id: Some("e:1"),
            key: Some("a\"b"),
            data: " {\"n\": 1.10,\n \"big\":9007199254740993, \"t\":\"a\\nb\"}\n",
            ..EventFields::default()
        };
        assert_eq!(
            fields.line().unwrap(),
            "{\"type\":\"invoice.paid\",\"id\":\"e:1\",\"key\":\"a\\\"b\",\
             \"data\":{\"n\": 1.10,  \"big\":9007199254740993, \"t\":\"a\\nb\"}}\n"
        );
    }

    #[test]
    fn data_that_is_not_json_is_bad_data() {
        let error = EventFields { data: "{\"a\":}", ..EventFields::default() }.line().unwrap_err();
        assert_eq!(error.kind, ExitKind::BadData);
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(dir.path(), "a", "{}\n", false).unwrap_err();
        assert_eq!((error.kind, error.help.len()), (ExitKind::Io, 1));
        for name in ["in", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let placed = write(dir.path(), "a", "{}\n", true).unwrap();
        assert_eq!(std::fs::read_to_string(&placed).unwrap(), "{}\n");
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
        assert_eq!(write(dir.path(), "a", "{}\n", false).unwrap_err().kind, ExitKind::Io);
    }
}
