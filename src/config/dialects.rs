//! `[dialect.NAME]`: the user's own dialects beside the built-in ones. What a dialect may say is `wire`'s business;
//! here its faults find their place in the file.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::wire::{Dialect, Dialects};

use super::codes;
use super::document::Place;
use super::presets;
use super::reader::Field;
use super::report::Report;
use super::values::closest;

/// Every dialect a subscription may name.
pub(super) struct Known {
    pub(super) dialects: Dialects,
    /// The user's tables, as written.
    pub(super) written: BTreeMap<String, toml::Table>,
    /// Names whose table has faults: a subscription that names one is not at fault itself.
    broken: BTreeSet<String>,
}

/// Compiles the user's dialects, given as the entries of `[dialect]` from every file.
pub(super) fn compile(entries: &[Field<'_>], report: &mut Report<'_>) -> Known {
    let mut known = Known { dialects: Dialects::built_in(), written: BTreeMap::new(), broken: BTreeSet::new() };
    let built_in = known.dialects.names().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let mut seen = BTreeMap::<&str, &Field<'_>>::new();
    for entry in entries {
        let name = entry.name;
        if built_in.contains(name) {
            let problem = report.problem(
                codes::DUPLICATE_NAME,
                entry.key,
                format!("dialect \"{name}\" is built in and cannot be redefined"),
                "taken",
            );
            problem.help("choose another name and use that in `dialect`");
            continue;
        }
        if let Some(first) = seen.insert(name, entry) {
            let message = format!("dialect \"{name}\" is defined twice");
            let problem = report.problem(codes::DUPLICATE_NAME, entry.key, message, "defined again");
            problem.also(first.key.spot("defined first"));
            continue;
        }
        match one(entry, report) {
            Some((table, dialect)) => {
                known.dialects.insert(dialect);
                known.written.insert(name.to_owned(), table);
            }
            None => {
                known.broken.insert(name.to_owned());
            }
        }
    }
    known
}

impl Known {
    /// The dialects of a configuration that is in force.
    pub(super) fn in_force(dialects: Dialects) -> Self {
        Self { dialects, written: BTreeMap::new(), broken: BTreeSet::new() }
    }

    /// The dialect that `field` names.
    pub(super) fn find(&self, name: &str, at: Place<'_>, report: &mut Report<'_>) -> Option<&Dialect> {
        if let Some(dialect) = self.dialects.get(name) {
            return Some(dialect);
        }
        if !self.broken.contains(name) && !at.doc.damaged {
            let message = format!("unknown dialect \"{name}\"");
            let place = if report.in_json { " of config.toml" } else { "" };
            let problem = report.problem(codes::UNKNOWN_DIALECT, at, message, "not a dialect");
            let names = self.dialects.names();
            match closest(name, names.iter().copied()) {
                Some(near) => problem.help(format!("did you mean \"{near}\"?")),
                None => problem.help(format!("known: {}; or describe it in [dialect.{name}]{place}", names.join(", "))),
            };
        }
        None
    }
}

fn one(entry: &Field<'_>, report: &mut Report<'_>) -> Option<(toml::Table, Dialect)> {
    let DeValue::Table(written) = entry.value else {
        entry.wrong_type("a table", "{ … }", report);
        return None;
    };
    let table = plain_table(written);
    match Dialect::compile(entry.name, &table) {
        Ok(dialect) => {
            let unknown = dialect.defaults().retry.as_deref().filter(|name| presets::preset(name).is_none());
            if let Some(name) = unknown {
                let message =
                    format!("dialect \"{}\" names an unknown retry schedule {}", entry.name, entry.at.quote(name));
                report.problem(codes::BAD_DIALECT, entry.at, message, "not a schedule");
            }
            Some((table, dialect))
        }
        Err(faults) => {
            for fault in faults {
                let place = place_of(entry, written, &fault.key);
                let problem = report.problem(codes::BAD_DIALECT, place, place.echo(fault.message), "in this dialect");
                if let Some(help) = fault.help.filter(|_| !place.doc.damaged) {
                    problem.help(help);
                }
            }
            None
        }
    }
}

/// The deepest value along `path` that is there; a key that is wrong as such is its own place.
fn place_of<'d>(entry: &Field<'d>, table: &'d DeTable<'d>, path: &[String]) -> Place<'d> {
    let mut place = entry.at;
    let mut here = Some(table);
    let mut items: Option<&'d [Spanned<DeValue<'d>>]> = None;
    for step in path {
        let value = match (here, items) {
            (Some(table), _) => table.get_key_value(step.as_str()).map(|(_, value)| value),
            (None, Some(items)) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
            (None, None) => None,
        };
        let Some(value) = value else { break };
        place = Place::new(entry.at.doc, value.span());
        here = value.get_ref().as_table();
        items = value.get_ref().as_array().map(|array| &array[..]);
    }
    place
}

fn plain_table(table: &DeTable<'_>) -> toml::Table {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect()
}

/// The value without its place. Numbers beyond TOML's range become text, which no dialect setting takes for a number.
fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => toml::Value::Integer(number),
            Err(_) => toml::Value::String(number.as_str().to_owned()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => toml::Value::Float(number),
            Err(_) => toml::Value::String(number.as_str().to_owned()),
        },
        DeValue::Boolean(answer) => toml::Value::Boolean(*answer),
        DeValue::Datetime(instant) => toml::Value::Datetime(*instant),
        DeValue::Array(items) => toml::Value::Array(items.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => toml::Value::Table(plain_table(table)),
    }
}
