//! Loading the configuration again: the new one whole, or the old one kept, and it says which.

use crate::admin::api::ReloadReport;
use crate::config;
use crate::engine::running::{Shared, lock};

fn refused(message: String) -> ReloadReport {
    ReloadReport { applied: false, message, problems: Vec::new(), problems_text: String::new() }
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
        Err(problems) => {
            return ReloadReport {
                applied: false,
                message: "the new configuration has errors; the old one stays in force".to_owned(),
                problems: problems.to_json()["errors"].as_array().cloned().unwrap_or_default(),
                problems_text: problems.to_string(),
            };
        }
    };
    let changes = config::diff(&shared.config(), &loaded.config);
    match shared.apply(loaded.config) {
        Ok(()) => ReloadReport {
            applied: true,
            message: format!("the new configuration is in force: {}", changes),
            problems: Vec::new(),
            problems_text: String::new(),
        },
        Err(reason) => refused(format!("the old configuration stays in force: {reason}")),
    }
}
