//! Permissions, room on disk, and whether the state is whole.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{Finding, places};
use crate::cli::error::reason;
use crate::cli::human::{bytes, plural};
use crate::cli::secret::is_open_to_all;
use crate::config::Config;
use crate::env::{Files as _, OsFiles};
use crate::ingest::reserve_of;
use crate::store::{self, LockError, StateLock};

pub fn look(config: &Config, config_file: &Path) -> Vec<Finding> {
    let mut found = vec![readers(config)];
    found.extend(places(config).map(|(name, dir)| room(name, &dir, config)));
    found.push(spool(&config.spool.dir));
    found.extend(state(&config.state.dir));
    let changed = std::fs::metadata(config_file).map(|data| data.mode() & 0o002 != 0);
    if changed.unwrap_or(false) {
        let help = format!("chmod o-w {}", config_file.display());
        found.push(Finding::fail("permissions", format!("anybody may change {}", config_file.display()), help));
    }
    found
}

/// Secrets and keys are for the engine's user and its group only.
fn readers(config: &Config) -> Finding {
    let is_key = |path: &&std::path::PathBuf| path.extension().is_none_or(|end| end != "toml") && path.is_file();
    let open: Vec<String> = config
        .files
        .iter()
        .filter(is_key)
        .filter(|path| std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o004 != 0))
        .filter(|path| !config.subscriptions.iter().any(|each| each.tls.ca_file.as_ref() == Some(*path)))
        .map(|path| path.display().to_string())
        .collect();
    match open.is_empty() {
        true => Finding::ok("permissions", "secrets are not readable by everybody"),
        false => Finding::warn(
            "permissions",
            format!("everybody may read {}", open.join(", ")),
            format!("chmod o-rwx {}", open.join(" ")),
        ),
    }
}

/// A token that everybody may read is everybody's.
pub fn token(path: &Path) -> Finding {
    let file = path.display();
    match path.is_file() {
        _ if is_open_to_all(path) => {
            Finding::warn("token file", format!("everybody may read {file}"), format!("chmod o-rwx {file}"))
        }
        true => Finding::ok("token file", format!("{file} is not readable by everybody")),
        false => Finding::warn("token file", format!("{file} cannot be read"), "is the path right?"),
    }
}

fn room(name: &str, dir: &Path, config: &Config) -> Finding {
    let check = format!("{name} disk");
    // Before the first start it does not exist; the disk it will lie on does.
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let space = match OsFiles.space(there) {
        Err(error) => return Finding::warn(&check, format!("{}: {}", dir.display(), reason(&error)), "does it exist?"),
        Ok(space) => space,
    };
    let reserve = reserve_of(config.state.reserve, space);
    let text = format!("{}: {} free of {}", dir.display(), bytes(space.free_bytes), bytes(space.total_bytes));
    let help = "make room, or lower [spool] retention and [delivery] history";
    match space.free_bytes {
        free if free < reserve => {
            Finding::fail(&check, format!("{text}; below {} no more is taken in", bytes(reserve)), help)
        }
        free if free < space.total_bytes / 10 => Finding::warn(&check, text, help),
        _ if space.free_files < 10_000 => {
            Finding::warn(&check, format!("{text}; only {} more fit", plural(space.free_files, "file")), help)
        }
        _ => Finding::ok(&check, text),
    }
}

/// Does what a producer does, but for the last step.
fn spool(dir: &Path) -> Finding {
    let (inbox, tmp) = (dir.join("in"), dir.join("tmp"));
    if !inbox.is_dir() {
        return match dir.parent().is_some_and(Path::exists) {
            true => Finding::ok("spool", format!("{} will be made by the first start", dir.display())),
            false => Finding::fail("spool", format!("{} cannot be made", dir.display()), "its parent does not exist"),
        };
    }
    let path = tmp.join(format!(".doctor-{}", std::process::id()));
    let tried = (|| -> io::Result<bool> {
        let mut file = OsFiles.create(&path)?;
        file.append(b"\n")?;
        file.sync_data()?;
        let is_one = OsFiles.stat(&inbox)?.dev == OsFiles.stat(&path)?.dev;
        OsFiles.list(&inbox)?;
        Ok(is_one)
    })();
    // It may not have been made.
    let _ = OsFiles.unlink(&path);
    let group = std::fs::metadata(&inbox).map_or(0, |data| data.gid());
    match tried {
        Ok(true) => Finding::ok("spool", format!("{} can be written; its group is {group}", inbox.display())),
        Ok(false) => Finding::fail(
            "spool",
            format!("{} and {} are on different file systems", tmp.display(), inbox.display()),
            "a rename between them is not possible; put the whole spool on one",
        ),
        Err(error) => Finding::fail(
            "spool",
            format!("{} cannot be written: {}", tmp.display(), reason(&error)),
            format!("run it as the engine's user, or: sudo adduser $USER GROUP (the group of {})", inbox.display()),
        ),
    }
}

fn state(dir: &Path) -> Vec<Finding> {
    if !dir.join("journal").is_dir() {
        return vec![Finding::ok("state", format!("{}: there is none yet", dir.display()))];
    }
    let _lock = match StateLock::take(dir) {
        Err(LockError::Held { .. }) => {
            return vec![Finding::ok("state", format!("{}: in use by a running engine", dir.display()))];
        }
        Err(error @ LockError::Io { .. }) => {
            return vec![Finding::fail("state", error.to_string(), "run it as the engine's user")];
        }
        Ok(lock) => lock,
    };
    match store::verify(&OsFiles, dir) {
        Err(error) => vec![Finding::fail("state", error.to_string(), "spoolhook state verify")],
        Ok(parts) => match parts.iter().find(|part| !part.is_well) {
            None => vec![Finding::ok("state", format!("{}: journal, view and checkpoints are whole", dir.display()))],
            Some(bad) => vec![Finding::warn(
                "state",
                format!("{}: {}", bad.part, bad.detail),
                "the next start mends what can be mended and says what it did; see spoolhook state verify",
            )],
        },
    }
}
