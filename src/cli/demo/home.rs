//! The demo's directory: private, and removed when the demo ends.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::super::error::CliError;

/// A fresh directory that is removed, with everything in it, when this is dropped.
pub struct Home(PathBuf);

impl Home {
    /// Makes it under the system's temporary directory; `tag` tells several demos apart.
    pub fn create(tag: &str) -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("spoolhook-demo.{tag}"));
        let made = DirBuilder::new().mode(0o700).create(&path).and_then(|()| {
            let home = Self(path.clone());
            for name in ["spool", "spool/in", "spool/tmp", "state"] {
                DirBuilder::new().mode(0o700).create(path.join(name))?;
            }
            Ok(home)
        });
        made.map_err(|error: io::Error| CliError::file("create", &path, &error))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed stays in the temporary directory, which is where such things may stay.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_behind() {
        let tag = format!("test-{}", std::process::id());
        let home = Home::create(&tag).unwrap();
        assert!(Home::create(&tag).is_err(), "somebody else's directory is never taken");
        let path = home.path().to_owned();
        assert!(path.join("spool/in").is_dir());
        drop(home);
        assert!(!path.exists());
    }
}
