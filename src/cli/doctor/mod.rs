//! What `doctor` looks at: everything outside of the program that it depends on. Each check says what it found in one line,
//! and what to do about it.

mod bundle;
mod files;
mod machine;
mod network;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use bundle::{Item, write};

use super::glue::config as judged;
use super::human::plural;
use crate::config::{Config, Loaded};
use crate::model::{SourceKind, Timestamp};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: String,
    pub verdict: Verdict,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &str, detail: impl Into<String>) -> Self {
        Self { check: check.to_owned(), verdict: Verdict::Ok, detail: detail.into(), help: None }
    }

    pub(super) fn warn(check: &str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check: check.to_owned(), verdict: Verdict::Warn, detail: detail.into(), help: Some(help.into()) }
    }

    pub(super) fn fail(check: &str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { check: check.to_owned(), verdict: Verdict::Fail, detail: detail.into(), help: Some(help.into()) }
    }
}

/// Looks at everything. Nothing is changed but for a file that is written to the spool's `tmp` and removed. `token_file` is
/// the one that the command line would use.
pub fn look(config_file: &Path, token_file: Option<&Path>, now: Timestamp) -> Vec<Finding> {
    let mut found: Vec<Finding> = token_file.map(files::token).into_iter().collect();
    let Loaded { config, warnings } = match judged::load(config_file, now) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let errors = plural(problems.errors.len() as u64, "error");
            let text = format!("{} has {errors}", config_file.display());
            found.push(Finding::fail("config", text, format!("spoolhook check {}", config_file.display())));
            found.extend(machine::look(None, now));
            return found;
        }
    };
    let config = &config;
    let webhooks = config.subscriptions.iter().filter(|each| each.source.kind == SourceKind::Api).count() as u64;
    let subscriptions = plural(config.subscriptions.len() as u64 - webhooks, "subscription");
    let mut text = format!("{}: {subscriptions}", config_file.display());
    if webhooks > 0 {
        text.push_str(&format!(", {} made over the API", plural(webhooks, "webhook")));
    }
    found.push(match warnings.len() as u64 {
        0 => Finding::ok("config", text),
        count => {
            let text = format!("{text}, {}", plural(count, "warning"));
            Finding::warn("config", text, "spoolhook check shows them")
        }
    });
    found.extend(files::look(config, config_file));
    found.extend(machine::look(Some(config), now));
    found.extend(network::look(config));
    found
}

/// Directories that hold what must not be lost.
fn places(config: &Config) -> [(&'static str, PathBuf); 2] {
    [("state", config.state.dir.clone()), ("spool", config.spool.dir.clone())]
}
