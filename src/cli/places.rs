//! Where things are: the configuration file, and the few places in it that commands without an engine need. They are
//! read leniently, so that a mistake in a subscription does not keep anybody from asking for the status.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::Global;
use super::error::{CliError, ExitKind};

const CANDIDATES: [&str; 2] = ["config.toml", "/etc/spoolhook/config.toml"];

/// The configuration in use: `--config`, else the first candidate that exists.
pub fn config_file(global: &Global) -> Result<PathBuf, CliError> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    CANDIDATES.into_iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
        CliError::new(
            ExitKind::BadConfig,
            format!("no configuration: there is neither ./{} nor {}", CANDIDATES[0], CANDIDATES[1]),
        )
        .help("make one here:     spoolhook init")
        .help("it is elsewhere:   spoolhook --config FILE ...")
    })
}

/// The engine's socket: `--socket`, else `[admin] socket`, else in `[state] dir`.
pub fn socket(global: &Global) -> Result<PathBuf, CliError> {
    match &global.socket {
        Some(path) => Ok(path.clone()),
        None => {
            let config = config_file(global)?;
            match place(&config, "admin", "socket")? {
                Some(path) => Ok(path),
                None => Ok(state(global)?.join("spoolhook.sock")),
            }
        }
    }
}

/// What the engine remembers: `[state] dir`.
pub fn state(global: &Global) -> Result<PathBuf, CliError> {
    let config = config_file(global)?;
    Ok(place(&config, "state", "dir")?.unwrap_or(beside(&config, "state")))
}

/// `[logging] format`, where the configuration can be read and says so.
pub fn log_format(global: &Global) -> Option<String> {
    let config = config_file(global).ok()?;
    word(&config, "logging", "format").ok().flatten()
}

/// The directory producers write under: `[spool] dir`.
pub fn spool(global: &Global) -> Result<PathBuf, CliError> {
    let config = config_file(global)?;
    Ok(place(&config, "spool", "dir")?.unwrap_or(beside(&config, "spool")))
}

fn beside(config: &Path, name: &str) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(name)
}

/// The path at `[table] key`, relative to the configuration's directory.
fn place(config: &Path, table: &str, key: &str) -> Result<Option<PathBuf>, CliError> {
    let base = config.parent().unwrap_or(Path::new(""));
    Ok(word(config, table, key)?.map(|path| base.join(path)))
}

/// The text at `[table] key`, the last file that says it winning.
fn word(config: &Path, table: &str, key: &str) -> Result<Option<String>, CliError> {
    let base = config.parent().unwrap_or(Path::new(""));
    let mut found = None;
    for file in std::iter::once(config.to_owned()).chain(fragments(base)) {
        let text = fs::read_to_string(&file).map_err(|error| {
            let fault = CliError::file("read", &file, &error);
            match fault.kind {
                ExitKind::Io => CliError { kind: ExitKind::BadConfig, ..fault },
                _ => fault,
            }
        })?;
        let document: toml::Table = toml::from_str(&text).map_err(|error| {
            CliError::new(ExitKind::BadConfig, format!("{}: {}", file.display(), error.message()))
                .help(format!("spoolhook check {} shows where", file.display()))
        })?;
        if let Some(path) = document.get(table).and_then(|table| table.get(key)).and_then(toml::Value::as_str) {
            found = Some(path.to_owned());
        }
    }
    Ok(found)
}

fn fragments(base: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(base.join("conf.d")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(config: PathBuf) -> Global {
        Global { config: Some(config), ..Global::default() }
    }

    #[test]
    fn places_are_relative_to_the_file_and_fragments_win() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        fs::write(&config, "[spool]\ndir = \"events\"\n[[subscription]]\nbroken = true\n").unwrap();
        assert_eq!(spool(&global(config.clone())).unwrap(), dir.path().join("events"));
        assert_eq!(socket(&global(config.clone())).unwrap(), dir.path().join("state/spoolhook.sock"));
        fs::write(&config, "[spool]\ndir = \"events\"\n[state]\ndir = \"/var/s\"\n").unwrap();
        assert_eq!(socket(&global(config.clone())).unwrap(), Path::new("/var/s/spoolhook.sock"));
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        fs::write(dir.path().join("conf.d/10.toml"), "[admin]\nsocket = \"/run/s.sock\"\n").unwrap();
        assert_eq!(socket(&global(config)).unwrap(), Path::new("/run/s.sock"));
    }

    #[test]
    fn a_missing_or_broken_file_is_a_configuration_fault() {
        let dir = tempfile::tempdir().unwrap();
        let missing = global(dir.path().join("config.toml"));
        assert_eq!(spool(&missing).unwrap_err().kind, ExitKind::BadConfig);
        fs::write(dir.path().join("config.toml"), "[spool\n").unwrap();
        assert_eq!(spool(&missing).unwrap_err().kind, ExitKind::BadConfig);
    }
}
