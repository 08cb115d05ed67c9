//! Segments and values -> bytes.

use std::io::Write;

use super::field::{Field, Value, Values};
use super::parse::{Choice, Form, Placeholder, Segment, Template};

impl Template {
    /// Appends the text to `out`. False when a placeholder had no value; the rest is then not written.
    pub(in crate::wire) fn write(&self, values: &dyn Values, out: &mut Vec<u8>) -> bool {
        let mut at = 0;
        while let Some(segment) = self.segments.get(at) {
            at += 1;
            match segment {
                Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Splice(placeholder, form) => {
                    let Some(value) = placeholder.value(values, *form) else { return false };
                    splice(&value, *form, placeholder.percent, out);
                }
                Segment::Section { field, present, end } => {
                    if there(values, field).is_some() != *present {
                        at = *end;
                    }
                }
            }
        }
        true
    }

    /// The text, for a header or a parameter; `None` when a placeholder had no value.
    pub(in crate::wire) fn text(&self, values: &dyn Values) -> Option<String> {
        let mut out = Vec::new();
        self.write(values, &mut out).then(|| String::from_utf8(out).expect("plain text is written as ASCII"))
    }
}

impl Placeholder {
    fn value<'a>(&'a self, values: &'a dyn Values, form: Form) -> Option<Value<'a>> {
        // A lone `{{data#/x}}` in a body says null when the producer said so; anywhere else null gives way.
        if let ([Choice::Field(field)], Form::Json | Form::InString) = (self.choices.as_slice(), form) {
            return values.value(field);
        }
        self.choices.iter().find_map(|choice| match choice {
            Choice::Field(field) => there(values, field),
            Choice::Null => Some(Value::Json(b"null")),
            Choice::Text(text) => Some(Value::Text(text.into())),
        })
    }
}

fn there<'a>(values: &'a dyn Values, field: &Field) -> Option<Value<'a>> {
    values.value(field).filter(|value| *value != Value::Json(b"null"))
}

fn splice(value: &Value<'_>, form: Form, percent: bool, out: &mut Vec<u8>) {
    match (value, form) {
        (Value::Bytes(bytes), _) | (Value::Json(bytes), Form::Json) => out.extend_from_slice(bytes),
        (Value::Integer(number), _) => write!(out, "{number}").expect("a Vec takes every byte"),
        (Value::Text(text), Form::Json) => quote(text, out),
        (Value::Text(text), Form::InString) => escape(text, out),
        (Value::Text(text), Form::Plain) => encode(text, percent, out),
        (Value::Json(json), Form::InString) => match inside(json) {
            Some(inner) => out.extend_from_slice(inner),
            None => escape(&String::from_utf8_lossy(json), out),
        },
        (Value::Json(json), Form::Plain) => {
            let decoded = inside(json).and_then(|_| serde_json::from_slice::<String>(json).ok());
            encode(&decoded.map_or_else(|| String::from_utf8_lossy(json), Into::into), percent, out);
        }
    }
}

/// What is between the quotes, when the JSON text is a string.
fn inside(json: &[u8]) -> Option<&[u8]> {
    json.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn quote(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a Vec takes every byte");
}

fn escape(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    quote(text, out);
    out.remove(start);
    out.pop();
}

/// Percent-encodes UTF-8 bytes: outside of printable ASCII always, so that no event can break out of its header line;
/// with `all` also space, `"` and `%` (CloudEvents HTTP binding, section 3.1.3.2).
fn encode(text: &str, all: bool, out: &mut Vec<u8>) {
    let kept = |byte: u8| match byte {
        b' ' | b'"' | b'%' => !all,
        _ => (b' '..=b'~').contains(&byte),
    };
    for run in text.as_bytes().chunk_by(|&one, &next| kept(one) == kept(next)) {
        if kept(run[0]) {
            out.extend_from_slice(run);
        } else {
            run.iter().for_each(|byte| write!(out, "%{byte:02X}").expect("a Vec takes every byte"));
        }
    }
}
