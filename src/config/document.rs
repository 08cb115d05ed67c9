//! One TOML file with its positions: text in, spanned tree and syntax faults out, byte ranges to line and column.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::codes;
use super::mask;
use super::problems::{Excerpt, Problem, Spot};

/// A file's text and where its lines begin.
pub(super) struct SourceText {
    /// As the user would write it: what problems are reported under.
    pub(super) path: PathBuf,
    pub(super) text: String,
    line_starts: Vec<usize>,
}

impl SourceText {
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let line_starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1));
        Self { path, line_starts: line_starts.collect(), text }
    }

    /// Index of the line that holds byte `at`.
    fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at) - 1
    }

    /// The bytes of a line without its end.
    fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.line_starts[line];
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        start..end
    }
}

/// A parsed file. After a syntax fault the tree holds what could be saved.
pub(super) struct Document<'t> {
    /// Place in the order of reading: the main file, then conf.d by name.
    pub(super) index: usize,
    pub(super) source: &'t SourceText,
    pub(super) root: DeTable<'t>,
    /// Whether it has syntax faults: then things may be missing only because their line was lost.
    pub(super) damaged: bool,
    /// Secrets: in order, apart from each other.
    hidden: Vec<Range<usize>>,
}

impl<'t> Document<'t> {
    /// Parses `source`; the faults have the places and the words of the TOML parser.
    pub(super) fn parse(index: usize, source: &'t SourceText) -> (Self, Vec<Fault>) {
        let (root, errors) = DeTable::parse_recoverable(&source.text);
        let root = root.into_inner();
        let hidden = mask::hidden(&root, &source.text);
        let faults = errors.iter().map(|error| Fault {
            span: error.span().unwrap_or(source.text.len()..source.text.len()),
            message: error.message().to_owned(),
        });
        let faults = faults.collect::<Vec<_>>();
        (Self { index, source, root, damaged: !faults.is_empty(), hidden }, faults)
    }

    /// The secrets that overlap `range`.
    fn hidden_in(&self, range: Range<usize>) -> &[Range<usize>] {
        let first = self.hidden.partition_point(|secret| secret.end <= range.start);
        let last = self.hidden.partition_point(|secret| secret.start < range.end);
        &self.hidden[first..last.max(first)]
    }

    /// The directory that relative paths in this file start from.
    pub(super) fn dir(&self) -> &Path {
        self.source.path.parent().unwrap_or(Path::new(""))
    }
}

/// A syntax fault.
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

/// A range of bytes in a document.
#[derive(Clone, Copy)]
pub(super) struct Place<'d> {
    pub(super) doc: &'d Document<'d>,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl<'d> Place<'d> {
    pub(super) fn new(doc: &'d Document<'d>, span: Range<usize>) -> Self {
        let end = span.end.min(doc.source.text.len());
        Self { doc, start: span.start.min(end), end }
    }

    /// The place of `range` inside the text that the string at this place stands for. Falls back to the whole string
    /// when escapes make the two differ in length, and takes in whole characters.
    pub(super) fn within(self, range: Range<usize>) -> Self {
        let raw = &self.doc.source.text[self.start..self.end];
        let quotes = if raw.starts_with("'''") || raw.starts_with("\"\"\"") { 3 } else { 1 };
        if raw.starts_with('"') && raw.contains('\\') {
            return self;
        }
        // TOML drops a newline that follows the opening quotes of a multi-line string.
        let body = raw.get(quotes..).unwrap_or_default();
        let dropped = match quotes {
            3 if body.starts_with("\r\n") => 2,
            3 if body.starts_with('\n') => 1,
            _ => 0,
        };
        let first = self.start + quotes + dropped;
        let last = self.end.saturating_sub(quotes).max(first);
        let text = &self.doc.source.text;
        let is_between = |at: &usize| text.is_char_boundary(*at);
        let start = (first + range.start).min(last);
        let end = (first + range.end).clamp(start, last);
        // Who knows where a fault is may not know how long its character is.
        Self {
            start: (0..=start).rev().find(is_between).unwrap_or(0),
            end: (end..text.len()).find(is_between).unwrap_or(text.len()),
            ..self
        }
    }

    /// `text`, which is the string at this place, in quotes for a message. A string that runs over lines, or stands in
    /// a file with syntax faults, may have swallowed what is not its own: it is not repeated.
    pub(super) fn quote(self, text: &str) -> String {
        let own = !self.doc.damaged && text.len() <= 200 && !text.contains(char::is_control);
        if own && self.doc.hidden_in(self.start..self.end).is_empty() {
            format!("\"{text}\"")
        } else {
            "\"…\"".to_owned()
        }
    }

    /// What another room says of the text at this place, unless that may not be repeated.
    pub(super) fn echo(self, fault: String) -> String {
        if self.doc.damaged { "cannot be read".to_owned() } else { fault }
    }

    /// Index of the line it starts on, from 0.
    pub(super) fn line(self) -> usize {
        self.doc.source.line_of(self.start)
    }

    /// This place for people: line, columns, and the line itself with secrets masked.
    pub(super) fn spot(self, label: impl Into<String>) -> Spot {
        let source = self.doc.source;
        let line = self.line();
        let range = source.line_range(line);
        let end = self.end.min(range.end);
        let start = self.start.min(range.end);
        let column = source.text[range.start..start].chars().count();
        let width = source.text[start..end.max(start)].chars().count().max(1);
        Spot {
            file: source.path.clone(),
            line: number(line + 1),
            column: number(column + 1),
            end_column: number(column + 1 + width),
            label: label.into(),
            excerpt: self.excerpt(range, start..end.max(start)),
        }
    }

    fn excerpt(self, line: Range<usize>, marked: Range<usize>) -> Excerpt {
        let text = &self.doc.source.text;
        let mut hidden = self.doc.hidden_in(line.clone()).to_vec();
        if self.doc.damaged {
            let more = mask::hidden_in_damaged_line(&text[line.clone()]);
            hidden.extend(more.map(|range| line.start + range.start..line.start + range.end));
        }
        mask::excerpt(text, line, marked, &hidden)
    }
}

/// A place for a problem with a whole file.
pub(super) fn whole_file(path: &Path, label: impl Into<String>) -> Spot {
    Spot { file: path.to_owned(), line: 0, column: 0, end_column: 0, label: label.into(), excerpt: Excerpt::default() }
}

/// The problem that a syntax fault is.
pub(super) fn syntax_problem(place: Place<'_>, message: &str) -> Problem {
    Problem::new(codes::SYNTAX, place.spot("not TOML"), message)
}

/// The word for a value's type in messages.
pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
