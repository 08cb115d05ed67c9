//! Text with holes: how a dialect writes its body, its headers and what it signs.
//!
//! ```text
//! {{type}}              a field of the event        {{data#/customer/id}}   a JSON pointer into a record
//! {{params.domain}}     a parameter                 {{old|or:data}}         the next one, when the first is missing
//! {{?old}}...{{/}}      only when there is one      {{!old}}...{{/}}        only when there is none
//! {{id|percent}}        percent-encoded (headers)   {{key|or:"none"}}       a text of your own
//! ```
//! In a body a record goes in as the bytes the producer wrote and a text goes in as a JSON string; between quotes of the
//! template both go in as the inside of a JSON string. In a header a JSON string loses its quotes, and `null` is missing.
//! Templates are compiled once, and a compiled body cannot fail: whatever may be missing has a fallback or a section.

mod capture;
mod field;
mod parse;
pub(super) mod pointer;
mod write;

pub(super) use field::{Field, Root, Value, Values, Word};
pub(super) use parse::{Choice, Placeholder, Template};

use super::dialect::Param;

/// Where a template stands, which decides what it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// JSON. Nothing may be missing.
    Body,
    /// Plain text. A header with something missing is left out.
    Header,
    /// Plain text that a receiver must be able to read back: nothing missing, no sections.
    Signature,
}

/// The names a template may use.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) place: Place,
    pub(super) params: &'a [Param],
    /// A name that only this template knows.
    pub(super) given: Option<&'static str>,
}

/// What is wrong with a template, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: String,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}
