//! The `config` room, as `check` sees it.

use std::path::Path;

use serde_json::Value;

use crate::config::{self, Loaded, Problem, Problems, problems_json};
use crate::model::{SourceKind, Timestamp};

/// What reading a configuration found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckReport {
    /// As it was named.
    pub file: String,
    /// Files of `conf.d` merged with it; not counted when there are errors.
    pub fragments: u64,
    /// Of the files.
    pub subscriptions: u64,
    /// Made over the API.
    pub webhooks: u64,
    pub errors: u64,
    pub warnings: u64,
    /// Every diagnostic with its place and caret, each followed by an empty line; no summary.
    pub text: String,
    /// `{"errors":[...],"warnings":[...]}`, and how many subscriptions and webhooks there are.
    pub json: Value,
    /// The effective configuration without secrets, as TOML and as JSON; empty when there are errors.
    pub shown: String,
    pub shown_json: Value,
}

/// Reads and judges the configuration at `path`, the `conf.d` beside it, the files it names, and the webhooks made over the
/// API in its state directory. Nothing is changed.
pub fn check(path: &Path, now: Timestamp) -> CheckReport {
    let (mut shown, mut shown_json) = (String::new(), Value::Null);
    let ([fragments, subscriptions, webhooks], errors, warnings) = match load(path, now) {
        Ok(Loaded { config, warnings }) => {
            let dir = path.with_file_name("conf.d");
            let merged = config.files.iter().filter(|file| file.parent() == Some(&dir)).count();
            (shown, shown_json) = (config::shown(&config), config::shown_json(&config));
            let of_files = config.subscriptions.iter().filter(|each| each.source.kind == SourceKind::File).count();
            ([merged, of_files, config.webhooks.names().len()], Vec::new(), warnings)
        }
        Err(problems) => ([0; 3], problems.errors, problems.warnings),
    };
    let mut json = problems_json(&errors, &warnings);
    json["subscriptions"] = subscriptions.into();
    json["webhooks"] = webhooks.into();
    CheckReport {
        file: path.display().to_string(),
        fragments: fragments as u64,
        subscriptions: subscriptions as u64,
        webhooks: webhooks as u64,
        errors: errors.len() as u64,
        warnings: warnings.len() as u64,
        text: errors.iter().chain(&warnings).map(|problem: &Problem| format!("{problem}\n")).collect(),
        json,
        shown,
        shown_json,
    }
}

/// The configuration as an engine would start with it: with the webhooks made over the API.
pub fn load(path: &Path, now: Timestamp) -> Result<Loaded, Problems> {
    config::load(path).and_then(|loaded| config::beside(loaded, now))
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
        let report = check(&file, Timestamp(0));
        assert!(report.errors > 0 && report.text.contains("config.toml:4:1"), "{}", report.text);
        assert_eq!(report.json["errors"].as_array().map(Vec::len), Some(report.errors as usize));
        assert!(check(&dir.path().join("none.toml"), Timestamp(0)).errors > 0);
    }
}
