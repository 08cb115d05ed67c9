//! The dialects there are: the built-in files, and room for the user's own. A new one is a file and a line here.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::dialect::Dialect;

/// Name and table of every built-in dialect.
const BUILT_IN: &[(&str, &str)] = &[
    ("carbon", include_str!("dialects/carbon.toml")),
    ("carriyo", include_str!("dialects/carriyo.toml")),
    ("umbra", include_str!("dialects/umbra.toml")),
    ("clarus", include_str!("dialects/clarus.toml")),
    ("standard", include_str!("dialects/standard.toml")),
    ("cloudevents", include_str!("dialects/cloudevents.toml")),
];

/// Tables to copy from: a user pastes one under `[dialect.NAME]`. They are not built in.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("github", include_str!("dialects/examples/github.toml")),
    ("stripe", include_str!("dialects/examples/stripe.toml")),
];

/// Dialects by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialects(BTreeMap<String, Arc<Dialect>>);

impl Dialects {
    /// The built-in ones.
    pub fn built_in() -> Self {
        static COMPILED: LazyLock<Dialects> = LazyLock::new(|| {
            let mut dialects = Dialects(BTreeMap::new());
            for (name, table) in BUILT_IN {
                dialects.insert(compile(name, table));
            }
            dialects
        });
        COMPILED.clone()
    }

    /// Adds a dialect and returns the one that had its name, if any.
    pub fn insert(&mut self, dialect: Dialect) -> Option<Arc<Dialect>> {
        self.0.insert(dialect.name().to_owned(), Arc::new(dialect))
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Dialect>> {
        self.0.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// Compiles a table that ships with the program.
pub(super) fn compile(name: &str, table: &str) -> Dialect {
    let table = table.parse().expect("the files in dialects/ are TOML");
    Dialect::compile(name, &table).expect("the files in dialects/ have no faults")
}
