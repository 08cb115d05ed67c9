//! Loading the configuration again: the new one whole, or the old one kept, and it says which.

use crate::admin::api::ReloadReport;
use crate::config;
use crate::engine::running::{Shared, lock};
use crate::engine::webhooks::{WebhooksError, with_webhooks, withheld};

fn refused(message: String) -> ReloadReport {
    ReloadReport { applied: false, message, problems: Vec::new(), problems_text: String::new() }
}

fn invalid(message: &str, problems: &config::Problems) -> ReloadReport {
    ReloadReport {
        applied: false,
        message: message.to_owned(),
        problems: problems.to_json()["errors"].as_array().cloned().unwrap_or_default(),
        problems_text: problems.to_string(),
    }
}

pub fn reload(shared: &Shared) -> ReloadReport {
    let _one_at_a_time = lock(&shared.reloading);
    let report = load(shared);
    shared.meters.lock().totals.reload_failed = !report.applied;
    report
}

fn load(shared: &Shared) -> ReloadReport {
    let Some(path) = &shared.config_path else {
        return refused("this engine runs without a configuration file; there is nothing to load again".to_owned());
    };
    let loaded = match config::load(path) {
        Ok(loaded) => loaded,
        Err(problems) => return invalid("the new configuration has errors; the old one stays in force", &problems),
    };
    let merged = match with_webhooks(loaded.config, &*shared.state.files, shared.clock.now()) {
        Ok(merged) => merged,
        Err(WebhooksError::Damaged(problems)) => {
            return invalid(
                "the webhooks made over the API cannot be read; the old configuration stays in force",
                &problems,
            );
        }
        Err(error) => return refused(format!("the old configuration stays in force: {error}")),
    };
    let changes = config::diff(&shared.config(), &merged);
    let withheld = withheld(&merged).map(|withheld| format!("; {withheld}")).unwrap_or_default();
    match shared.apply(merged) {
        Ok(()) => ReloadReport {
            applied: true,
            message: format!("the new configuration is in force: {changes}{withheld}"),
            problems: Vec::new(),
            problems_text: String::new(),
        },
        Err(reason) => refused(format!("the old configuration stays in force: {reason}")),
    }
}
