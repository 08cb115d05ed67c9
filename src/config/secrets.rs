//! Secrets and where they come from: written in place, in a file, or in an environment variable; one or several.

use toml::de::DeValue;

use crate::model::Secret;

use super::codes;
use super::document::Place;
use super::reader::{Field, Table};
use super::report::Report;

/// The three forms of the secret that signs.
pub(super) const SIGNING: [&str; 3] = ["secret", "secret_file", "secret_env"];
/// The three forms of an OAuth2 client's secret.
pub(super) const CLIENT: [&str; 3] = ["client_secret", "client_secret_file", "client_secret_env"];

/// What was found under one of three names.
#[derive(Default)]
pub(super) struct Found<'d> {
    /// Whether the user wrote any of the three, readable or not.
    pub(super) written: bool,
    /// Newest first, each with the place that names it.
    pub(super) secrets: Vec<(Place<'d>, Secret)>,
}

/// Takes all three forms from `table`; more than one of them is a contradiction.
pub(super) fn read<'d>(table: &mut Table<'d>, forms: [&'static str; 3], report: &mut Report<'_>) -> Found<'d> {
    let [inline, file, variable] = forms.map(|name| table.take(name));
    let written = [inline, file, variable].into_iter().flatten().collect::<Vec<_>>();
    if let [first, second, ..] = written[..] {
        let message = format!("`{}` and `{}` exclude each other", first.name, second.name);
        report
            .problem(codes::EXCLUDES, second.key, message, "a second form")
            .also(first.key.spot("the first form"))
            .help("keep one of them; while a secret is rotated it may be a list");
    }
    let mut found = Found { written: !written.is_empty(), secrets: Vec::new() };
    for (field, source) in [(inline, Source::Inline), (file, Source::File), (variable, Source::Variable)] {
        let Some(field) = field else { continue };
        let items = match field.value {
            DeValue::Array(_) => field.items(report).unwrap_or_default(),
            _ => vec![field],
        };
        if items.is_empty() {
            report.problem(codes::BAD_SECRET, field.at, format!("`{}` is an empty list", field.name), "no secret");
        }
        let secrets = items.iter().filter_map(|item| Some((item.at, one(item, source, report)?)));
        found.secrets.extend(secrets);
    }
    found
}

#[derive(Clone, Copy)]
enum Source {
    Inline,
    File,
    Variable,
}

fn one(field: &Field<'_>, source: Source, report: &mut Report<'_>) -> Option<Secret> {
    let secret = match source {
        Source::Inline => Secret::new(field.text(report)?),
        Source::File => {
            let (_, content) = report.read_secret_file(field)?;
            let Ok(text) = String::from_utf8(content.bytes) else {
                let message = format!("the file of `{}` is not UTF-8", field.name);
                report.problem(codes::BAD_SECRET, field.at, message, "holds other bytes");
                return None;
            };
            let text = Secret::new(text);
            let line = text.expose();
            let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
            Secret::new(line)
        }
        Source::Variable => {
            let name = field.filled(report)?;
            let Some(value) = report.variable(name) else {
                let message = format!("the environment variable {} is not set", field.at.quote(name));
                report.problem(codes::BAD_SECRET, field.at, message, "not in the environment");
                return None;
            };
            Secret::new(value)
        }
    };
    if secret.expose().trim().is_empty() {
        let what = match source {
            Source::Inline => format!("`{}` is empty", field.name),
            Source::File => format!("the file of `{}` is empty", field.name),
            Source::Variable => format!("the environment variable of `{}` is empty", field.name),
        };
        report.problem(codes::BAD_SECRET, field.at, what, "no secret in it");
        return None;
    }
    Some(secret)
}
