//! The webhooks made over the API, between their file and the configuration in force.

use std::io;
use std::path::PathBuf;

use crate::config::{self, Config, Problems, Webhooks};
use crate::env::{Files, replace};
use crate::model::Timestamp;

/// The file of the webhooks cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    #[error("cannot {action} the webhooks made over the API in {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the webhooks made over the API cannot be read\n{0}")]
    Damaged(Problems),
}

/// `config` with the webhooks of its state directory.
pub(super) fn with_webhooks(config: Config, files: &dyn Files, now: Timestamp) -> Result<Config, WebhooksError> {
    let path = config::webhooks_file(&config.state.dir);
    let text = match files.read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"));
            Some(text.map_err(|source| WebhooksError::Io { action: "read", path, source })?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(WebhooksError::Io { action: "read", path, source }),
    };
    config::merge(config, text, now).map_err(WebhooksError::Damaged)
}

/// Makes them durable. What was there before stays whole until then.
pub(super) fn keep(config: &Config, webhooks: &Webhooks, files: &dyn Files) -> Result<(), WebhooksError> {
    let path = config::webhooks_file(&config.state.dir);
    let failed = |source| WebhooksError::Io { action: "write", path: path.clone(), source };
    replace(files, &path, webhooks.text().expose().as_bytes()).map_err(failed)
}

/// What a person should know of webhooks that the configuration does not allow any more; nothing, when all are in force.
pub(super) fn withheld(config: &Config) -> Option<String> {
    let reason = |each: &crate::model::Subscription| {
        let reason = each.withheld.as_deref()?;
        Some(format!("{}/{}: {reason}", each.tenant(), each.name))
    };
    let all: Vec<String> = config.subscriptions.iter().filter_map(reason).collect();
    (!all.is_empty()).then(|| format!("webhooks made over the API are out of force: {}", all.join("; ")))
}
