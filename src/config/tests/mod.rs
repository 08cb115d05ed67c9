//! The room through its door: configurations in, verdicts out. `bad/` holds wrong configurations with the whole text
//! that a user sees.

mod bad;
mod files;
mod good;

use std::path::Path;

use super::{Config, Loaded, Problems, load_text};

/// Loads `text` under a name that has no conf.d beside it.
fn load(text: &str) -> Result<Loaded, Problems> {
    load_text(Path::new("nowhere/config.toml"), text.to_owned(), &|name| {
        (name == "HOOK_SECRET").then(|| "env-0123456789abcdefghijklmn".to_owned())
    })
}

/// The configuration of a `text` that is right.
fn config(text: &str) -> Config {
    load(text).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// The whole text a user sees for a `text` that is wrong.
fn complaint(text: &str) -> String {
    load(text).expect_err("the configuration is wrong").to_string()
}
