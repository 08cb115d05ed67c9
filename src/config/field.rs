//! The typed answers of one setting. Each reports what is wrong with it and then answers `None`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::codes;
use super::document::{Place, type_name};
use super::reader::{Field, Table, listed};
use super::report::Report;
use super::values::{closest, duration, say_duration, say_size, size};

const DURATION_HELP: &str = "(units: ms, s, m, h, d)";
const SIZE_HELP: &str = "(units: B, KiB, MiB, GiB, TiB)";

impl<'d> Field<'d> {
    /// A string.
    pub(super) fn text(&self, report: &mut Report<'_>) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type("a string", "\"…\"", report);
                None
            }
        }
    }

    /// A string that is not empty.
    pub(super) fn filled(&self, report: &mut Report<'_>) -> Option<&'d str> {
        let text = self.text(report)?;
        if text.trim().is_empty() {
            report.problem(codes::BAD_VALUE, self.at, format!("`{}` is empty", self.name), "empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        let answer = self.value.as_bool();
        if answer.is_none() {
            self.wrong_type("true or false", "true", report);
        }
        answer
    }

    /// A whole number in `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u32>, report: &mut Report<'_>) -> Option<u32> {
        let Some(number) = self.value.as_integer() else {
            self.wrong_type("a number", &range.start().to_string(), report);
            return None;
        };
        let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = number.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number));
        if fits.is_none() {
            self.out_of_range(&range.start().to_string(), &range.end().to_string(), report);
        }
        fits
    }

    /// A duration string in `range`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>, report: &mut Report<'_>) -> Option<Duration> {
        let DeValue::String(text) = self.value else {
            let example = match self.value {
                DeValue::Integer(number) => format!("{}s", number.as_str()),
                _ => "15s".to_owned(),
            };
            let help = format!("write {} {DURATION_HELP}", self.assign(&format!("\"{example}\""), report));
            report
                .problem(
                    codes::WRONG_TYPE,
                    self.at,
                    format!("`{}` must be a duration string", self.name),
                    format!("expected a string such as \"{example}\""),
                )
                .help(help);
            return None;
        };
        let Some(read) = duration(text) else {
            let message = format!("`{}` is not a duration: {}", self.name, self.at.quote(text));
            let help = format!("write {} {DURATION_HELP}", self.assign("\"15s\"", report));
            report.problem(codes::BAD_VALUE, self.at, message, "expected a number and a unit").help(help);
            return None;
        };
        if !range.contains(&read) {
            self.out_of_range(&say_duration(*range.start()), &say_duration(*range.end()), report);
            return None;
        }
        Some(read)
    }

    /// A size string in `range`, in bytes.
    pub(super) fn size(&self, range: RangeInclusive<u64>, report: &mut Report<'_>) -> Option<u64> {
        let DeValue::String(text) = self.value else {
            self.wrong_type(&format!("a size string {SIZE_HELP}"), "\"64MiB\"", report);
            return None;
        };
        let Some(read) = size(text) else {
            let message = format!("`{}` is not a size: {}", self.name, self.at.quote(text));
            let help = format!("write {} {SIZE_HELP}", self.assign("\"64MiB\"", report));
            report.problem(codes::BAD_VALUE, self.at, message, "expected a number and a unit").help(help);
            return None;
        };
        if !range.contains(&read) {
            self.out_of_range(&say_size(*range.start()), &say_size(*range.end()), report);
            return None;
        }
        Some(read)
    }

    /// A path, relative to the file it is written in.
    pub(super) fn path(&self, report: &mut Report<'_>) -> Option<PathBuf> {
        let text = self.filled(report)?;
        if text.contains('\0') {
            report.problem(codes::BAD_VALUE, self.at, format!("`{}` is not a path", self.name), "holds a NUL");
            return None;
        }
        Some(self.at.doc.dir().join(text))
    }

    /// One word of a list. `what` completes "unknown ..." and `noun` completes "not ...".
    pub(super) fn word<T: Copy>(
        &self,
        what: &str,
        noun: &str,
        choices: &[(&str, T)],
        report: &mut Report<'_>,
    ) -> Option<T> {
        let text = self.text(report)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        unknown_word(self.at, text, what, noun, &names, report);
        None
    }

    /// The items of a list, each as a field of the same name.
    pub(super) fn items(&self, report: &mut Report<'_>) -> Option<Vec<Field<'d>>> {
        let Some(items) = self.value.as_array() else {
            self.wrong_type("a list", "[\"…\"]", report);
            return None;
        };
        let items = items.iter().map(|item| {
            let at = Place::new(self.at.doc, item.span());
            Field { name: self.name, key: self.key, at, value: item.get_ref(), in_list: true }
        });
        Some(items.collect())
    }

    /// The strings of a list; a wrong one is reported and left out.
    pub(super) fn texts(&self, report: &mut Report<'_>) -> Option<Vec<(Field<'d>, &'d str)>> {
        let items = self.items(report)?;
        Some(items.into_iter().filter_map(|item| item.text(report).map(|text| (item, text))).collect())
    }

    /// A table, under the title it has in messages.
    pub(super) fn table(&self, title: &str, report: &mut Report<'_>) -> Option<Table<'d>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(title, self.at, table)),
            _ => {
                let expected = if report.in_json { "an object" } else { "a table" };
                self.wrong_type(expected, "{ … }", report);
                None
            }
        }
    }

    /// Reports a value of the wrong type. `example` is a value, the same in TOML and in JSON.
    pub(super) fn wrong_type(&self, expected: &str, example: &str, report: &mut Report<'_>) {
        let message = format!("`{}` must be {expected}", self.name);
        let label = format!("this is {}", type_name(self.value));
        let help = format!("write {}", self.assign(example, report));
        report.problem(codes::WRONG_TYPE, self.at, message, label).help(help);
    }

    /// `value` as the user would write it here.
    fn assign(&self, value: &str, report: &Report<'_>) -> String {
        if self.in_list { value.to_owned() } else { report.assign(self.name, value) }
    }

    fn out_of_range(&self, from: &str, to: &str, report: &mut Report<'_>) {
        let message = format!("`{}` must be between {from} and {to}", self.name);
        report.problem(codes::BAD_VALUE, self.at, message, "out of range");
    }
}

/// Reports a word that is not on the list, with the one that was probably meant.
pub(super) fn unknown_word(
    at: Place<'_>,
    word: &str,
    what: &str,
    noun: &str,
    choices: &[&str],
    report: &mut Report<'_>,
) {
    let message = format!("unknown {what} {}", at.quote(word));
    let problem = report.problem(codes::UNKNOWN_WORD, at, message, format!("not {noun}"));
    match closest(word, choices.iter().copied()) {
        Some(near) => problem.help(format!("did you mean \"{near}\"?")),
        None => {
            let quoted = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>();
            problem.help(format!("it can be {}", listed(&quoted).replace(" and ", " or ")))
        }
    };
}
