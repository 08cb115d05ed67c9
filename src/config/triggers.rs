//! What a subscription listens to: `events` patterns, or Carbon's `table` and `operations`; and the condition.

use crate::model::valid_event_type;
use crate::routing::{Condition, Pattern};
use crate::wire::Dialect;

use super::codes;
use super::reader::{Field, Table};
use super::report::Report;
use super::values::closest;

/// Carbon's operations and the verbs from which an event's operation is derived.
const OPERATIONS: &[(&str, &[&str])] = &[
    ("insert", &["created", "inserted", "added"]),
    ("update", &["updated", "changed"]),
    ("delete", &["deleted", "removed"]),
];

const KEPT: &str = "it is kept as written, in case your producer knows better";

/// The type patterns, from whichever form was written.
pub(super) fn patterns(
    table: &mut Table<'_>,
    dialect: Option<&Dialect>,
    report: &mut Report<'_>,
) -> Option<Vec<String>> {
    let events = table.take("events");
    let carbon_table = table.take("table");
    let operations = table.take("operations");
    match (events, carbon_table.or(operations)) {
        (Some(events), Some(carbon)) => {
            report
                .problem(codes::EXCLUDES, carbon.key, "`events` and `table` exclude each other", "a second form")
                .also(events.key.spot("the first form"))
                .help("`table` with `operations` is Carbon's form of `events`; keep one");
            None
        }
        (Some(events), None) => from_events(&events, dialect, report),
        (None, None) => {
            table.missing("events", "[\"…\"]", report);
            None
        }
        (None, Some(_)) => {
            let name = match carbon_table {
                Some(field) => table_name(&field, dialect, report),
                None => {
                    table.missing("table", "\"…\"", report);
                    None
                }
            };
            let verbs = match operations {
                Some(field) => verbs(&field, report),
                None => {
                    table.missing("operations", "[\"insert\", \"update\", \"delete\"]", report);
                    None
                }
            };
            let (name, verbs) = (name?, verbs?);
            Some(verbs.into_iter().map(|verb| format!("{name}.{verb}")).collect())
        }
    }
}

/// The condition of `where`, which compiles.
pub(super) fn condition(field: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = field.filled(report)?;
    match Condition::compile(text) {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            let place = field.at.within(error.offset..error.offset + 1);
            let problem =
                report.problem(codes::BAD_CONDITION, place, "`where` is not a condition", place.echo(error.message));
            problem.help("for example: data.total > 1000.0 && old.status != data.status");
            None
        }
    }
}

fn from_events(field: &Field<'_>, dialect: Option<&Dialect>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let texts = field.texts(report)?;
    if texts.is_empty() {
        let help = format!("write {} for every event", report.assign("events", "[\"**\"]"));
        report.problem(codes::BAD_VALUE, field.at, "`events` lists nothing", "no event would ever match").help(help);
        return None;
    }
    let mut patterns = Vec::new();
    for (item, text) in texts {
        match Pattern::parse(text) {
            Ok(pattern) => {
                if let Some(dialect) = dialect {
                    warn_if_never(&item, text, &pattern, dialect, report);
                }
                patterns.push(text.to_owned());
            }
            Err(fault) => {
                let problem =
                    report.problem(codes::BAD_PATTERN, item.at, "this is not an event pattern", item.at.echo(fault));
                problem
                    .help("for example: \"invoice.paid\", \"invoice.*\" (one segment) or \"invoice.**\" (any number)");
            }
        }
    }
    Some(patterns)
}

/// A dialect may list its event types. Receivers add types faster than lists are kept, so this only warns.
fn warn_if_never(item: &Field<'_>, text: &str, pattern: &Pattern, dialect: &Dialect, report: &mut Report<'_>) {
    let types = dialect.event_types();
    if types.is_empty() || types.iter().any(|each| pattern.matches(each)) {
        return;
    }
    let message = format!("{} matches no event type that dialect \"{}\" lists", item.at.quote(text), dialect.name());
    let problem = report.problem(codes::NEVER_MATCHES, item.at, message, "matches none of them");
    let entity = text.split('.').next().unwrap_or_default();
    let same_entity = types.iter().filter(|each| each.split('.').next() == Some(entity)).collect::<Vec<_>>();
    match closest(text, types.iter().map(String::as_str)) {
        Some(near) if strsim::osa_distance(near, text) <= 2 || same_entity.len() == 1 => {
            problem.help(format!("did you mean \"{near}\"?"))
        }
        _ if same_entity.is_empty() => problem.help(KEPT),
        _ => problem.help(format!("did you mean {}?", one_of(&same_entity))),
    };
}

/// `"a", "b" or "c"`.
fn one_of(types: &[&String]) -> String {
    let quoted = types.iter().map(|each| format!("\"{each}\"")).collect::<Vec<_>>();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

fn table_name(field: &Field<'_>, dialect: Option<&Dialect>, report: &mut Report<'_>) -> Option<String> {
    let name = field.text(report)?;
    // Room is left for the longest verb.
    if !valid_event_type(name) || name.len() > 119 {
        let message = format!("`table` is not a table name: {}", field.at.quote(name));
        report.problem(codes::BAD_PATTERN, field.at, message, "letters, digits and _ only");
        return None;
    }
    let types = dialect.map(Dialect::event_types).unwrap_or_default();
    let tables = types.iter().filter_map(|each| Some(each.rsplit_once('.')?.0)).collect::<Vec<_>>();
    if let Some(dialect) = dialect
        && !tables.is_empty()
        && !tables.contains(&name)
    {
        let message = format!("dialect \"{}\" lists no table {}", dialect.name(), field.at.quote(name));
        let problem = report.problem(codes::NEVER_MATCHES, field.at, message, "not one of them");
        match closest(name, tables) {
            Some(near) => problem.help(format!("did you mean \"{near}\"?")),
            None => problem.help(KEPT),
        };
    }
    Some(name.to_owned())
}

fn verbs(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<&'static str>> {
    let items = field.items(report)?;
    if items.is_empty() {
        let problem =
            report.problem(codes::BAD_VALUE, field.at, "`operations` lists nothing", "at least one is needed");
        problem.help("write any of \"insert\", \"update\" and \"delete\"");
        return None;
    }
    let mut verbs = Vec::new();
    for item in items {
        for verb in item.word("operation", "an operation", OPERATIONS, report)? {
            if !verbs.contains(verb) {
                verbs.push(*verb);
            }
        }
    }
    Some(verbs)
}
