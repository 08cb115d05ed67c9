//! The `config` room, as `check` sees it.

use std::path::Path;

use serde_json::Value;

use crate::config::{self, Problem, problems_json};

/// What reading a configuration found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckReport {
    /// As it was named.
    pub file: String,
    /// Files of `conf.d` merged with it; not counted when there are errors.
    pub fragments: u64,
    pub subscriptions: u64,
    pub errors: u64,
    pub warnings: u64,
    /// Every diagnostic with its place and caret, each followed by an empty line; no summary.
    pub text: String,
    /// `{"errors":[...],"warnings":[...]}`.
    pub json: Value,
}

/// Reads and judges the configuration at `path`, the `conf.d` beside it, and the files it names.
pub fn check(path: &Path) -> CheckReport {
    let (fragments, subscriptions, errors, warnings) = match config::load(path) {
        Ok(loaded) => {
            let dir = path.with_file_name("conf.d");
            let merged = loaded.config.files.iter().filter(|file| file.parent() == Some(&dir));
            (merged.count() as u64, loaded.config.subscriptions.len() as u64, Vec::new(), loaded.warnings)
        }
        Err(problems) => (0, 0, problems.errors, problems.warnings),
    };
    CheckReport {
        file: path.display().to_string(),
        fragments,
        subscriptions,
        errors: errors.len() as u64,
        warnings: warnings.len() as u64,
        text: errors.iter().chain(&warnings).map(|problem: &Problem| format!("{problem}\n")).collect(),
        json: problems_json(&errors, &warnings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_a_report() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, "[[subscription]]\nname = \"a\"\nurl = \"https://a.example/\"\nevent = [\"x\"]\n")
            .unwrap();
        let report = check(&file);
        assert!(report.errors > 0 && report.text.contains("config.toml:4:1"), "{}", report.text);
        assert_eq!(report.json["errors"].as_array().map(Vec::len), Some(report.errors as usize));
        assert!(check(&dir.path().join("none.toml")).errors > 0);
    }
}
