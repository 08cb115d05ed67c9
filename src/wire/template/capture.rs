//! The way back: the text a template made -> the values that went in. For receivers.

use super::parse::{Placeholder, Segment, Template};

impl Template {
    /// The text each placeholder stood for, or `None` when `text` cannot have been made by this template. A value ends
    /// where the literal text after it first appears.
    pub(in crate::wire) fn capture<'t, 'v>(&'t self, text: &'v str) -> Option<Vec<(&'t Placeholder, &'v str)>> {
        let mut captured = Vec::new();
        let mut rest = text;
        let mut pending = None;
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => {
                    let at = match pending {
                        Some(_) => rest.find(&**literal)?,
                        None => rest.starts_with(&**literal).then_some(0)?,
                    };
                    captured.extend(pending.take().map(|placeholder| (placeholder, &rest[..at])));
                    rest = &rest[at + literal.len()..];
                }
                Segment::Splice(placeholder, _) => pending = Some(placeholder),
                Segment::Section { .. } => return None,
            }
        }
        match pending {
            Some(placeholder) => captured.push((placeholder, rest)),
            None if !rest.is_empty() => return None,
            None => {}
        }
        Some(captured)
    }

    /// Whether `capture` is sure to find what went in: no two placeholders touch, and nothing is conditional.
    pub(in crate::wire) fn can_be_captured(&self) -> bool {
        let touching = self.segments.windows(2).any(|pair| matches!(pair, [Segment::Splice(..), Segment::Splice(..)]));
        !touching && !self.segments.iter().any(|segment| matches!(segment, Segment::Section { .. }))
    }

    /// Writes the text again from captured values; `None` when one of them is not there.
    pub(in crate::wire) fn rewrite(&self, captured: &[(&Placeholder, &str)], given: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(given.len() + 96);
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Segment::Splice(placeholder, _) if placeholder.is_given() => out.extend_from_slice(given),
                Segment::Splice(wanted, _) => {
                    let (_, text) = captured.iter().find(|(placeholder, _)| *placeholder == wanted)?;
                    out.extend_from_slice(text.as_bytes());
                }
                Segment::Section { .. } => return None,
            }
        }
        Some(out)
    }
}
