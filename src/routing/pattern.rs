//! Type patterns: what a subscription's `events` may say and which event types it means.
//!
//! ```text
//! pattern = segment *("." segment)
//! segment = 1*[A-Za-z0-9_]    that segment
//!         | "*"               exactly one segment, whatever it is
//!         | "**"              any number of segments, none included
//! ```

use std::fmt;

/// Longest pattern in bytes: twice the longest event type.
const MAX_PATTERN_BYTES: usize = 256;

/// One parsed pattern over dotted event types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
}

/// One dotted part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    One,
    Any,
}

impl Pattern {
    /// Reads a pattern; the error is one sentence with a hint. Neighbouring `**` are one.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing; write `**` for every event".to_owned());
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(format!("the pattern is longer than {MAX_PATTERN_BYTES} bytes"));
        }
        let mut segments = Vec::new();
        for part in text.split('.') {
            let segment = parse_segment(text, part)?;
            if segment != Segment::Any || segments.last() != Some(&Segment::Any) {
                segments.push(segment);
            }
        }
        Ok(Self { segments })
    }

    /// Whether `event_type` is meant. Time grows with segments of the type times segments of the pattern.
    pub fn matches(&self, event_type: &str) -> bool {
        let mut rest = event_type.split('.');
        let mut at = 0;
        // Behind the last `**` passed: where the pattern goes on, and the input it may still swallow from.
        let mut retry = None;
        loop {
            match self.segments.get(at) {
                Some(Segment::Any) => {
                    at += 1;
                    retry = Some((at, rest.clone()));
                    continue;
                }
                segment => match (segment, rest.next()) {
                    (None, None) => return true,
                    (Some(Segment::One), Some(_)) => {
                        at += 1;
                        continue;
                    }
                    (Some(Segment::Literal(want)), Some(have)) if **want == *have => {
                        at += 1;
                        continue;
                    }
                    _ => {}
                },
            }
            let Some((after, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            at = *after;
            rest = from.clone();
        }
    }

    /// The one type a pattern without wildcards means.
    pub(super) fn exact(&self) -> Option<String> {
        let mut literals = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let Segment::Literal(text) = segment else { return None };
            literals.push(&**text);
        }
        Some(literals.join("."))
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

fn parse_segment(pattern: &str, part: &str) -> Result<Segment, String> {
    match part {
        "*" => return Ok(Segment::One),
        "**" => return Ok(Segment::Any),
        "" => return Err(format!("`{pattern}` has an empty segment; segments are parted by single dots")),
        _ => {}
    }
    if part.contains('*') {
        let stem = part.trim_matches('*');
        let hint = if stem.is_empty() || stem.contains('*') || part.starts_with('*') {
            "write `*` for one segment or `**` for any number".to_owned()
        } else {
            format!("did you mean `{stem}.*`?")
        };
        return Err(format!("`{part}`: a `*` stands for a whole segment, not for a part of one; {hint}"));
    }
    match part.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
        Some(bad) => Err(format!("`{part}`: {bad:?} cannot occur in an event type; use A-Z, a-z, 0-9 and `_`")),
        None => Ok(Segment::Literal(part.into())),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            let text = match segment {
                Segment::Literal(text) => text,
                Segment::One => "*",
                Segment::Any => "**",
            };
            write!(out, "{dot}{text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, event_type: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(event_type)
    }

    #[test]
    fn a_star_is_one_segment_and_two_are_any_number() {
        assert!(matches("invoice.*", "invoice.created"));
        assert!(!matches("invoice.*", "invoice"));
        assert!(!matches("invoice.*", "invoice.line.created"));
        assert!(matches("*", "invoice"));
        assert!(!matches("*", "invoice.created"));
        assert!(matches("**", "a.b.c"));
        assert!(matches("invoice.**", "invoice"));
        assert!(matches("invoice.**", "invoice.line.created"));
        assert!(matches("**.created", "created"));
        assert!(matches("**.created", "a.b.created"));
        assert!(!matches("**.created", "a.created.b"));
        assert!(matches("**.b.**.d", "a.b.c.b.d"));
        assert!(!matches("invoice.created", "Invoice.created"));
    }

    #[test]
    fn mistakes_come_with_a_hint() {
        let error = |text| Pattern::parse(text).unwrap_err();
        assert!(error("invoice*").contains("did you mean `invoice.*`?"), "{}", error("invoice*"));
        assert!(error("a.*x").contains("whole segment"));
        assert!(error("***").contains("`**` for any number"));
        assert!(error("a..b").contains("empty segment"));
        assert!(error("a-b").contains("'-'"));
        assert!(error("").contains("`**`"));
        assert!(error(&"a".repeat(300)).contains("256"));
    }

    /// The definition, word for word.
    fn naive(pattern: &[Segment], segments: &[&str]) -> bool {
        match (pattern.split_first(), segments.split_first()) {
            (None, None) => true,
            (Some((Segment::Any, rest)), _) => {
                naive(rest, segments) || segments.split_first().is_some_and(|(_, tail)| naive(pattern, tail))
            }
            (Some((Segment::One, rest)), Some((_, tail))) => naive(rest, tail),
            (Some((Segment::Literal(want), rest)), Some((have, tail))) => **want == **have && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(
            pattern in proptest::collection::vec("a|b|\\*|\\*\\*", 1..7),
            event_type in proptest::collection::vec("a|b", 1..7),
        ) {
            let parsed = Pattern::parse(&pattern.join(".")).unwrap();
            let segments: Vec<&str> = event_type.iter().map(String::as_str).collect();
            prop_assert_eq!(parsed.matches(&event_type.join(".")), naive(&parsed.segments, &segments));
        }

        #[test]
        fn any_text_parses_or_explains(text in "\\PC{0,40}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
            }
        }
    }
}
