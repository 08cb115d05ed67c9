//! The webhooks made over the API beside a configuration that nobody runs: read, judged, and not changed.

use std::io::ErrorKind;
use std::path::Path;

use super::super::codes;
use super::super::disk;
use super::super::document::whole_file;
use super::super::load::Loaded;
use super::super::problems::{Problem, Problems};
use super::super::settings::Config;
use super::document::{merge, webhooks_file};
use crate::model::{SourceKind, Timestamp};

/// `loaded` with the webhooks of its state directory. Those that are not in force are among the warnings.
///
/// # Errors
/// The file of the webhooks is damaged: no engine starts with it.
pub fn beside(loaded: Loaded, now: Timestamp) -> Result<Loaded, Problems> {
    let Loaded { config, mut warnings } = loaded;
    let path = webhooks_file(&config.state.dir);
    let text = match disk::read_text(&path) {
        Ok(text) => Some(text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => {
            let message = "the webhooks made over the API are not checked".to_owned();
            let mut problem = Problem::new(codes::NOT_LOOKED_AT, whole_file(&path, disk::say(&error)), message);
            problem.help("the file is for the engine's user only: run this as that user");
            warnings.push(problem);
            None
        }
    };
    let config = merge(config, text, now)?;
    warnings.extend(not_in_force(&config, &path));
    Ok(Loaded { config, warnings })
}

fn warning(path: &Path, message: String) -> Problem {
    Problem::new(codes::OUT_OF_FORCE, whole_file(path, ""), message)
}

/// One warning for each webhook that takes no part, with the reason.
fn not_in_force(config: &Config, path: &Path) -> Vec<Problem> {
    let judge = |(tenant, name): (&str, &str)| {
        let found = config.subscription(tenant, name)?;
        let what = format!("the webhook \"{tenant}/{name}\" made over the API");
        let (message, help) = match (&found.withheld, found.source.kind) {
            (Some(reason), _) => (
                format!("{what} is out of force: {reason}"),
                format!("mend it with `spoolhook subs set {tenant}/{name}`, or mend what forbids it here"),
            ),
            (None, SourceKind::File) => (
                format!("{what} waits: a file took its name"),
                format!("it is in force again when {} lets go of the name", found.source),
            ),
            (None, SourceKind::Api) => return None,
        };
        let mut problem = warning(path, message);
        problem.help(help);
        Some(problem)
    };
    config.webhooks.names().filter_map(judge).collect()
}
