//! What `init` writes: a commented configuration, the spool producers write to, a state directory, a secret.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};

use super::error::{CliError, ExitKind};

/// The configuration `init` writes.
pub const CONFIG: &str = include_str!("config.toml");

/// The directories `init` makes, and their modes. The spool's group may write to it; setgid keeps the group.
const DIRS: [(&str, u32); 5] =
    [("spool", 0o2770), ("spool/in", 0o2770), ("spool/tmp", 0o2770), ("state", 0o700), ("secrets", 0o700)];

/// Makes everything under `dir`. A configuration that is there already is never touched.
pub fn write(dir: &Path) -> Result<(), CliError> {
    let config = dir.join("config.toml");
    if config.exists() {
        return Err(CliError::new(ExitKind::No, format!("{} exists; nothing was changed", config.display()))
            .help("start anew elsewhere: spoolhook init DIR"));
    }
    for (name, mode) in DIRS {
        let path = dir.join(name);
        fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
            .map_err(|error| CliError::file("create", &path, &error))?;
    }
    create(&dir.join("secrets/example.key"), 0o600, &format!("{}\n", fresh_secret()?))?;
    create(&config, 0o644, CONFIG)
}

/// A file that `init` was run for before may be there; it stays.
fn create(path: &Path, mode: u32, content: &str) -> Result<(), CliError> {
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(content.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| CliError::file("create", path, &error))
}

/// `whsec_` and 24 random bytes in base64: a secret as Standard Webhooks 1.0.0 writes it.
fn fresh_secret() -> Result<String, CliError> {
    let mut bytes = [0u8; 24];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| CliError::new(ExitKind::Io, "the kernel gives no random bytes for a secret"))?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_made_with_its_mode_and_never_twice() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("new");
        write(&home).unwrap();
        for (name, mode) in DIRS {
            assert_eq!(fs::metadata(home.join(name)).unwrap().permissions().mode() & 0o7777, mode, "{name}");
        }
        assert_eq!(fs::metadata(home.join("secrets/example.key")).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = crate::config::load(&home.join("config.toml")).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings[0]);
        assert_eq!(write(&home).unwrap_err().kind, ExitKind::No);
    }
}
