//! Reading a TOML table key by key, so that every fault is found in one pass and an unknown key is one of them.

use std::time::Duration;

use toml::{Table, Value};

use crate::model::parse_span;

/// One thing wrong with a dialect's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectFault {
    /// Path of keys within the table; an element of a list goes by its number: `["variant", "0", "body"]`.
    pub key: Vec<String>,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A table under inspection.
pub(super) struct Keys<'a, 'f> {
    table: &'a Table,
    path: Vec<String>,
    known: Vec<&'static str>,
    faults: &'f mut Vec<DialectFault>,
}

impl<'a, 'f> Keys<'a, 'f> {
    pub(super) fn new(table: &'a Table, faults: &'f mut Vec<DialectFault>) -> Self {
        Self { table, path: Vec::new(), known: Vec::new(), faults }
    }

    /// Notes a fault at `key`; an empty `key` is the table itself.
    pub(super) fn fault(&mut self, key: &str, message: impl Into<String>, help: Option<String>) {
        let mut path = self.path.clone();
        path.extend((!key.is_empty()).then(|| key.to_owned()));
        self.faults.push(DialectFault { key: path, message: message.into(), help });
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// `table`, found `steps` below this one.
    fn within<'b>(&'b mut self, steps: &[&str], table: &'a Table) -> Keys<'a, 'b> {
        let mut path = self.path.clone();
        path.extend(steps.iter().map(|&step| step.to_owned()));
        Keys { table, path, known: Vec::new(), faults: self.faults }
    }

    /// The value at `key` as `read` sees it; a value of another kind is a fault that says what was `expected`.
    fn read<T>(&mut self, key: &'static str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let value = self.table.get(key)?;
        let got = read(value);
        if got.is_none() {
            self.fault(key, format!("expected {expected}, found {}", describe(value)), None);
        }
        got
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.read(key, "a string", Value::as_str)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub(super) fn count(&mut self, key: &'static str) -> Option<u32> {
        self.read(key, "a whole number", |value| u32::try_from(value.as_integer()?).ok())
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.read(key, "a duration such as \"15s\"", |value| parse_span(value.as_str()?).ok())
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<&'a str>> {
        self.read(key, "a list of strings", |value| value.as_array()?.iter().map(Value::as_str).collect())
    }

    /// One of a few names.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, names: &[(&str, T)]) -> Option<T> {
        let name = self.text(key)?;
        let found = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = names.iter().map(|(known, _)| *known).collect();
            let help =
                did_you_mean(name, known.iter().copied()).unwrap_or_else(|| format!("known are {}", known.join(", ")));
            self.fault(key, format!("unknown {key} `{name}`"), Some(help));
        }
        found
    }

    /// The members of the table at `key` that are strings, in written order.
    pub(super) fn pairs(&mut self, key: &'static str) -> Option<Vec<(&'a str, &'a str)>> {
        let table = self.read(key, "a table", Value::as_table)?;
        let mut pairs = Vec::new();
        for (name, value) in table {
            match value.as_str() {
                Some(text) => pairs.push((name.as_str(), text)),
                None => self.within(&[key], table).fault(
                    name,
                    format!("expected a string, found {}", describe(value)),
                    None,
                ),
            }
        }
        Some(pairs)
    }

    /// Calls `each` for the table at `key`.
    pub(super) fn table<T>(&mut self, key: &'static str, each: impl FnOnce(Keys<'a, '_>) -> T) -> Option<T> {
        let table = self.read(key, "a table", Value::as_table)?;
        Some(each(self.within(&[key], table)))
    }

    /// Calls `each` for every table within the table at `key`, with its name, in written order.
    pub(super) fn named_tables(&mut self, key: &'static str, mut each: impl FnMut(&'a str, Keys<'a, '_>)) {
        let Some(tables) = self.read(key, "a table", Value::as_table) else { return };
        for (name, value) in tables {
            match value.as_table() {
                Some(table) => each(name, self.within(&[key, name], table)),
                None => self.within(&[key], tables).fault(name, "expected a table", None),
            }
        }
    }

    /// Calls `each` for every table of the list at `key`, in written order.
    pub(super) fn listed_tables(&mut self, key: &'static str, mut each: impl FnMut(Keys<'a, '_>)) {
        let tables = self.read(key, "a list of tables", |value| {
            value.as_array()?.iter().map(Value::as_table).collect::<Option<Vec<_>>>()
        });
        for (index, table) in tables.into_iter().flatten().enumerate() {
            each(self.within(&[key, &index.to_string()], table));
        }
    }

    /// Ends the inspection: what nobody asked for is unknown.
    pub(super) fn finish(mut self) {
        let table = self.table;
        for key in table.keys() {
            if !self.known.contains(&key.as_str()) {
                let help = did_you_mean(key, self.known.iter().copied())
                    .unwrap_or_else(|| format!("known are {}", self.known.join(", ")));
                self.fault(key, format!("unknown key `{key}`"), Some(help));
            }
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        other => other.type_str().to_owned(),
    }
}

/// ``did you mean `tenant`?``, when a known name is near.
pub(super) fn did_you_mean<'n>(word: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    known
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        assert_eq!(did_you_mean("tennant", ["tenant", "type"].into_iter()), Some("did you mean `tenant`?".to_owned()));
        assert_eq!(did_you_mean("colour", ["tenant", "type"].into_iter()), None);
    }
}
