//! Text of a template -> segments. Everything that could go wrong while rendering is refused here.

use super::field::{Field, Sample};
use super::{Place, Problem, Scope};
use crate::wire::keys::did_you_mean;

/// Each condition doubles the number of bodies to try when a dialect is compiled.
const MAX_CONDITIONS: usize = 8;

/// A compiled template.
#[derive(Clone, Debug, Default)]
pub(in crate::wire) struct Template {
    pub(super) segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
pub(super) enum Segment {
    Literal(Box<str>),
    Splice(Placeholder, Form),
    /// What follows up to segment number `end` counts only when `field` is there (`present`) or is not.
    Section {
        field: Field,
        present: bool,
        end: usize,
    },
}

/// How a value is written at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// Between the quotes of a JSON string.
    InString,
    Plain,
}

/// `{{first|or:second|percent}}`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Placeholder {
    /// Tried in turn.
    pub(in crate::wire) choices: Vec<Choice>,
    pub(super) percent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Choice {
    Field(Field),
    Null,
    Text(String),
}

impl Placeholder {
    /// Whether this is the name that only the template at hand knows.
    pub(in crate::wire) fn is_given(&self) -> bool {
        self.choices == [Choice::Field(Field::Given)]
    }
}

impl Template {
    /// Compiles `text`. Every problem found is added to `problems`; with none, the template can be used.
    pub(in crate::wire) fn parse(text: &str, scope: &Scope<'_>, problems: &mut Vec<Problem>) -> Self {
        let mut parser =
            Parser { scope, problems, segments: Vec::new(), open: Vec::new(), quoted: false, escaped: false };
        parser.run(text);
        let template = Self { segments: parser.segments };
        if scope.place == Place::Body && problems.is_empty() {
            problems.extend(template.not_json(scope));
        }
        template
    }

    /// The placeholders, sections' conditions not counted.
    pub(in crate::wire) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Splice(placeholder, _) => Some(placeholder),
            _ => None,
        })
    }

    /// Whether it is `{{name}}` and nothing else, with the name that only this template knows.
    pub(in crate::wire) fn is_just_given(&self) -> bool {
        matches!(self.segments.as_slice(), [Segment::Splice(placeholder, _)] if placeholder.is_given())
    }

    /// Tries the body with every mix of things being there and missing.
    fn not_json(&self, scope: &Scope<'_>) -> Option<Problem> {
        let mut conditions: Vec<&Field> = Vec::new();
        for segment in &self.segments {
            if let Segment::Section { field, .. } = segment
                && !conditions.contains(&field)
            {
                conditions.push(field);
            }
        }
        if conditions.len() > MAX_CONDITIONS {
            let help = format!("use at most {MAX_CONDITIONS}, and variants for the rest");
            return Some(Problem::new("a body with so many conditions cannot be checked", help));
        }
        (0..1usize << conditions.len()).find_map(|mask| {
            let missing = conditions.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
            let sample = Sample { scope, missing: missing.map(|(_, field)| *field).collect() };
            let mut body = Vec::new();
            self.write(&sample, &mut body);
            let error = serde_json::from_slice::<serde::de::IgnoredAny>(&body).err()?;
            let text = String::from_utf8_lossy(&body);
            let help = format!("with sample values it reads {text}");
            Some(Problem::new(format!("the body would not be JSON: {error}"), help))
        })
    }
}

struct Section {
    at: usize,
    field: Field,
    present: bool,
    quoted: bool,
}

struct Parser<'a> {
    scope: &'a Scope<'a>,
    problems: &'a mut Vec<Problem>,
    segments: Vec<Segment>,
    open: Vec<Section>,
    /// Whether the body's literal text so far leaves a JSON string open.
    quoted: bool,
    escaped: bool,
}

impl Parser<'_> {
    fn run(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            self.literal(&rest[..start]);
            let Some(length) = rest[start..].find("}}") else {
                return self.problem("`{{` without `}}`", "close the placeholder: {{type}}");
            };
            self.tag(rest[start + 2..start + length].trim());
            rest = &rest[start + length + 2..];
        }
        self.literal(rest);
        if !self.open.is_empty() {
            self.problem("a section is not closed", "end it with {{/}}");
        }
    }

    fn problem(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(message, help));
    }

    fn literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.scope.place == Place::Body {
            for byte in text.bytes() {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' if self.quoted => self.escaped = true,
                    b'"' => self.quoted = !self.quoted,
                    _ => {}
                }
            }
        } else if let Some(bad) = text.chars().find(|char| !matches!(char, ' '..='~')) {
            let help = "headers and signatures are plain ASCII on one line";
            self.problem(format!("the character {bad:?} cannot stand here"), help);
        }
        self.segments.push(Segment::Literal(text.into()));
    }

    fn tag(&mut self, tag: &str) {
        match tag.as_bytes().first() {
            Some(b'?') => self.section(tag[1..].trim(), true),
            Some(b'!') => self.section(tag[1..].trim(), false),
            Some(b'/') => self.close(),
            _ => match self.placeholder(tag) {
                Ok(placeholder) => self.splice(tag, placeholder),
                Err(problem) => self.problems.push(problem),
            },
        }
    }

    fn section(&mut self, name: &str, present: bool) {
        if self.scope.place == Place::Signature {
            self.problem("a section cannot stand in what is signed", "a receiver could not tell whether it was there");
        }
        // A condition on an unknown name still opens a section, so that its end is not a second problem.
        let field = Field::parse(name, self.scope).unwrap_or_else(|problem| {
            self.problems.push(problem);
            Field::Given
        });
        self.open.push(Section { at: self.segments.len(), field: field.clone(), present, quoted: self.quoted });
        self.segments.push(Segment::Section { field, present, end: 0 });
    }

    fn close(&mut self) {
        let Some(section) = self.open.pop() else {
            return self.problem("{{/}} closes nothing", "open a section before it: {{?old}}");
        };
        if section.quoted != self.quoted {
            self.problem("a section may not open or close a JSON string", "put both quotes inside or both outside");
        }
        let after = self.segments.len();
        if let Segment::Section { end, .. } = &mut self.segments[section.at] {
            *end = after;
        }
    }

    fn placeholder(&mut self, tag: &str) -> Result<Placeholder, Problem> {
        let mut parts = tag.split('|').map(str::trim);
        let first = parts.next().unwrap_or_default();
        let mut placeholder =
            Placeholder { choices: vec![Choice::Field(Field::parse(first, self.scope)?)], percent: false };
        for filter in parts {
            if let Some(next) = filter.strip_prefix("or:") {
                placeholder.choices.push(self.choice(next.trim())?);
            } else if filter == "percent" && self.scope.place != Place::Body {
                placeholder.percent = true;
            } else if filter == "percent" {
                return Err(Problem::new("`percent` is for headers", "in a body a text is quoted as JSON by itself"));
            } else {
                let help = did_you_mean(filter, ["percent", "or:"].into_iter());
                return Err(Problem::new(
                    format!("unknown filter `{filter}`"),
                    help.unwrap_or_else(|| "known are or:NAME and percent".to_owned()),
                ));
            }
        }
        Ok(placeholder)
    }

    fn choice(&self, text: &str) -> Result<Choice, Problem> {
        if text == "null" {
            return match self.scope.place {
                Place::Body => Ok(Choice::Null),
                _ => Err(Problem::new("`null` means nothing here", "write a text: or:\"none\"")),
            };
        }
        if text.starts_with('"') {
            return serde_json::from_str(text).map(Choice::Text).map_err(|_| {
                Problem::new(format!("{text} is not a quoted text"), "write it as a JSON string without `|`: \"none\"")
            });
        }
        Field::parse(text, self.scope).map(Choice::Field)
    }

    fn splice(&mut self, tag: &str, placeholder: Placeholder) {
        let missing = |choice: &Choice| match choice {
            Choice::Field(field) => field.may_be_missing(self.scope) && !self.is_guarded(field),
            _ => false,
        };
        if self.scope.place != Place::Header && placeholder.choices.iter().all(missing) {
            let help = match self.scope.place {
                Place::Body => format!("write {{{{{tag}|or:null}}}}, or put it between {{{{?{tag}}}}} and {{{{/}}}}"),
                _ => format!("write {{{{{tag}|or:\"none\"}}}}"),
            };
            return self.problem(format!("`{tag}` may have no value"), help);
        }
        let form = match self.scope.place {
            Place::Body if self.quoted => Form::InString,
            Place::Body => Form::Json,
            _ => Form::Plain,
        };
        self.escaped = false;
        self.segments.push(Segment::Splice(placeholder, form));
    }

    fn is_guarded(&self, field: &Field) -> bool {
        self.open.iter().any(|section| section.present && section.field == *field)
    }
}
