//! Patterns of event types, as in a subscription's `events`: `*` is one segment, `**` any number of them.

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Word(Box<str>),
    One,
    Any,
}

impl Glob {
    /// Reads a pattern; `None` when it could match no event type.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let part = |text: &str| match text {
            "*" => Some(Part::One),
            "**" => Some(Part::Any),
            _ if crate::model::valid_event_type(text) => Some(Part::Word(text.into())),
            _ => None,
        };
        pattern.split('.').map(part).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(super) fn matches(&self, event_type: &str) -> bool {
        rest_matches(&self.0, Some(event_type))
    }
}

/// `text` is `None` after the last segment.
fn rest_matches(parts: &[Part], text: Option<&str>) -> bool {
    let Some((part, later)) = parts.split_first() else { return text.is_none() };
    let Some(here) = text else { return *part == Part::Any && rest_matches(later, None) };
    let (first, rest) = here.split_once('.').map_or((here, None), |(first, rest)| (first, Some(rest)));
    match part {
        Part::Any => rest_matches(later, text) || rest_matches(parts, rest),
        Part::One => rest_matches(later, rest),
        Part::Word(word) => first == &**word && rest_matches(later, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, event_type: &str, expected: bool) {
        assert_eq!(Glob::parse(pattern).unwrap().matches(event_type), expected, "{pattern} {event_type}");
    }

    #[test]
    fn stars() {
        check("order.*", "order.updated", true);
        check("order.*", "order", false);
        check("order.*", "order.line.added", false);
        check("order.**", "order.line.added", true);
        check("order.**", "order", true);
        check("**.deleted", "a.b.deleted", true);
        check("**.deleted", "a.b.updated", false);
        check("order.updated", "order.updated", true);
        check("order", "orders", false);
    }

    #[test]
    fn what_no_type_could_match_is_refused() {
        for bad in ["", "a.", "a-b", "or*er", "a..b"] {
            assert_eq!(Glob::parse(bad), None, "{bad}");
        }
    }
}
