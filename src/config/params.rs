//! `[subscription.params]`: what the dialect needs to know beside the event.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::wire::Dialect;

use super::codes;
use super::field::unknown_word;
use super::reader::{Field, Table, listed};
use super::report::Report;
use super::values::closest;

/// Reads the parameters against the dialect's list. `owner` is the subscription's table.
pub(super) fn read(
    written: Option<Field<'_>>,
    dialect: Option<&Dialect>,
    owner: &Table<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<String, String> {
    let table = written.and_then(|field| field.table("[subscription.params]", report));
    let (at, above) = table.as_ref().map_or((owner.at, "/params"), |table| (table.at, ""));
    let entries = table.map(|mut table| table.take_all()).unwrap_or_default();
    let mut params = BTreeMap::new();
    for entry in &entries {
        if let Some(value) = scalar(entry, report) {
            if let Some(dialect) = dialect {
                check(entry, &value, dialect, report);
            }
            params.insert(entry.name.to_owned(), value);
        }
    }
    let Some(dialect) = dialect else { return params };
    for param in dialect.params().iter().filter(|param| param.required) {
        let meant = |entry: &Field<'_>| closest(entry.name, [param.name.as_str()]).is_some();
        if at.doc.damaged || entries.iter().any(meant) {
            continue;
        }
        let message = format!("dialect \"{}\" needs the parameter `{}`", dialect.name(), param.name);
        let label = format!("add {} = \"…\" to [subscription.params]", param.name);
        let problem = report.problem(codes::BAD_PARAM, at, message, label);
        problem.member(format!("{above}/{}", param.name));
        if !param.help.is_empty() {
            problem.help(param.help.clone());
        }
    }
    params
}

/// Numbers and booleans are taken as they are written, since a parameter ends up as text.
fn scalar(entry: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    match entry.value {
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(answer) => Some(answer.to_string()),
        _ => entry.text(report).map(str::to_owned),
    }
}

fn check(entry: &Field<'_>, value: &str, dialect: &Dialect, report: &mut Report<'_>) {
    let names = dialect.params().iter().map(|param| param.name.as_str()).collect::<Vec<_>>();
    let Some(param) = dialect.params().iter().find(|param| param.name == entry.name) else {
        let message = format!("dialect \"{}\" has no parameter `{}`", dialect.name(), entry.name);
        let problem = report.problem(codes::BAD_PARAM, entry.key, message, "not a parameter");
        match closest(entry.name, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("it takes {}", listed(&names))),
        };
        return;
    };
    if !param.one_of.is_empty() && !param.one_of.iter().any(|choice| choice == value) {
        let choices = param.one_of.iter().map(String::as_str).collect::<Vec<_>>();
        unknown_word(entry.at, value, &format!("`{}`", param.name), "one of its choices", &choices, report);
    }
}
