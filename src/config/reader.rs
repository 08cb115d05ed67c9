//! What the user wrote, asked for by name: tables that notice what nobody asked for. A wrong answer is reported where
//! it stands, and the asking goes on.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::codes;
use super::document::Place;
use super::report::Report;
use super::values::closest;

/// A key with its value and the places of both.
#[derive(Clone, Copy)]
pub(super) struct Field<'d> {
    pub(super) name: &'d str,
    pub(super) key: Place<'d>,
    pub(super) at: Place<'d>,
    pub(super) value: &'d DeValue<'d>,
    /// Whether this is one item of the list under that key.
    pub(super) in_list: bool,
}

/// A table, possibly put together from several files. Ask for every setting with [`Table::take`], then call
/// [`Table::finish`]: whatever is left was a typo.
pub(super) struct Table<'d> {
    /// As it is written: `[spool]`, `[[subscription]]`, `oauth2`.
    pub(super) title: String,
    /// Its header, or the braces of an inline table.
    pub(super) at: Place<'d>,
    fields: BTreeMap<&'d str, Field<'d>>,
    asked: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(super) fn new(title: impl Into<String>, at: Place<'d>, table: &'d DeTable<'d>) -> Self {
        let fields = table.iter().map(|(key, value)| {
            let field = Field {
                name: key.get_ref().as_ref(),
                key: Place::new(at.doc, key.span()),
                at: Place::new(at.doc, value.span()),
                value: value.get_ref(),
                in_list: false,
            };
            (field.name, field)
        });
        Self { title: title.into(), at, fields: fields.collect(), asked: Vec::new() }
    }

    /// A table that nobody wrote.
    pub(super) fn empty(title: impl Into<String>, at: Place<'d>) -> Self {
        Self { title: title.into(), at, fields: BTreeMap::new(), asked: Vec::new() }
    }

    /// Takes the settings of a second table of the same name, from a later file. What both have is a contradiction.
    pub(super) fn merge(&mut self, later: Table<'d>, report: &mut Report<'_>) {
        for (name, field) in later.fields {
            match self.fields.get(name) {
                Some(first) => {
                    let message = format!("`{name}` in {} is given twice", self.title);
                    report
                        .problem(codes::GIVEN_TWICE, field.key, message, "given again")
                        .also(first.key.spot("given first"))
                        .help("keep one of them: only arrays of tables, such as [[subscription]], add up over conf.d");
                }
                None => {
                    self.fields.insert(name, field);
                }
            }
        }
    }

    /// The setting `name`, if it is there.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Field<'d>> {
        self.asked.push(name);
        self.fields.remove(name)
    }

    /// The setting `name`, without which the table means nothing. `example` is a value in TOML.
    pub(super) fn require(&mut self, name: &'static str, example: &str, report: &mut Report<'_>) -> Option<Field<'d>> {
        let field = self.take(name);
        if field.is_none() {
            self.missing(name, example, report);
        }
        field
    }

    /// Whether `name` may have been meant although it is not there: its line is broken, or a key is mistyped. Then
    /// that is the one thing to report.
    pub(super) fn may_mean(&self, name: &str) -> bool {
        self.at.doc.damaged || self.fields.keys().any(|key| closest(key, [name]).is_some())
    }

    /// Reports that `name` is not there.
    pub(super) fn missing(&self, name: &str, example: &str, report: &mut Report<'_>) {
        if self.may_mean(name) {
            return;
        }
        let noun = self.title.trim_matches(['[', ']']);
        let place = if self.at.is_header() { "below this line" } else { "here" };
        let label = format!("add {name} = {example} {place}");
        report
            .problem(codes::MISSING, self.at, format!("{noun} is missing `{name}`"), label)
            .member(format!("/{name}"));
    }

    /// Every setting that is left, as written, for tables whose keys are the user's own.
    pub(super) fn take_all(&mut self) -> Vec<Field<'d>> {
        let mut fields = std::mem::take(&mut self.fields).into_values().collect::<Vec<_>>();
        fields.sort_by_key(|field| field.key.start);
        fields
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for (name, field) in &self.fields {
            let message = format!("unknown key `{name}` in {}", self.title);
            let problem = report.problem(codes::UNKNOWN_KEY, field.key, message, "not a setting");
            match closest(name, self.asked.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("known here: {}", listed(&self.asked))),
            };
        }
    }
}

impl Place<'_> {
    /// Whether this is a `[table]` header rather than an inline table.
    fn is_header(self) -> bool {
        self.doc.source.text[self.start..].starts_with('[')
    }
}

/// `a, b and c`.
pub(super) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let words = words.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => "nothing".to_owned(),
    }
}
