//! Why an event did or did not reach a subscription, as data and as a sentence.

use std::fmt;
use std::ops::Range;

/// The judgement of one filter on one event. `Display` is one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchVerdict {
    Matched,
    WrongTenant {
        wanted: String,
        found: String,
    },
    WrongType {
        patterns: Vec<String>,
        found: String,
    },
    /// `failing` is the part of the condition's text, in bytes, that is false.
    ConditionFalse {
        condition: String,
        failing: Range<usize>,
    },
    /// The condition has no answer for this event, which counts as no match.
    ConditionError {
        condition: String,
        reason: String,
    },
}

impl MatchVerdict {
    pub fn is_match(&self) -> bool {
        *self == Self::Matched
    }

    /// The name in the API and the command line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::WrongTenant { .. } => "wrong_tenant",
            Self::WrongType { .. } => "wrong_type",
            Self::ConditionFalse { .. } => "condition_false",
            Self::ConditionError { .. } => "condition_error",
        }
    }
}

impl fmt::Display for MatchVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => out.write_str("the event matches"),
            Self::WrongTenant { wanted, found } => {
                write!(out, "the event belongs to tenant `{found}`, the subscription to `{wanted}`")
            }
            Self::WrongType { patterns, found } if patterns.is_empty() => {
                write!(out, "the subscription names no event types, so `{found}` cannot match")
            }
            Self::WrongType { patterns, found } => {
                write!(out, "the type `{found}` matches none of `{}`", patterns.join("`, `"))
            }
            Self::ConditionFalse { condition, failing } => match condition.get(failing.clone()) {
                Some(part) if part != condition.trim() => {
                    write!(out, "`{part}` is false in the condition `{condition}`")
                }
                _ => write!(out, "the condition `{condition}` is false"),
            },
            Self::ConditionError { condition, reason } => {
                write!(out, "the condition `{condition}` has no answer: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CompiledFilter, FilterError, sample};
    use crate::model::Filter;

    fn explain(events: &[&str], condition: Option<&str>) -> String {
        let event = sample::event(r#"{"type":"invoice.created","data":{"total":5}}"#);
        let filter = Filter {
            tenant: "default".to_owned(),
            events: events.iter().map(|&pattern| pattern.to_owned()).collect(),
            condition: condition.map(str::to_owned),
        };
        let filter = CompiledFilter::compile(&filter).unwrap();
        let verdict = filter.explain(&event);
        assert_eq!(verdict.is_match(), filter.matches(&event));
        verdict.to_string()
    }

    #[test]
    fn every_verdict_is_a_sentence() {
        assert_eq!(explain(&["invoice.*"], None), "the event matches");
        assert_eq!(explain(&["order.*", "a"], None), "the type `invoice.created` matches none of `order.*`, `a`");
        assert_eq!(explain(&["**"], Some("data.total > 9")), "the condition `data.total > 9` is false");
        assert_eq!(
            explain(&["**"], Some("true && data.total > 9")),
            "`data.total > 9` is false in the condition `true && data.total > 9`"
        );
        assert_eq!(
            explain(&["**"], Some("data.totl > 9")),
            "the condition `data.totl > 9` has no answer: no such key: totl"
        );
        assert!(explain(&[], None).contains("names no event types"));
    }

    #[test]
    fn another_tenant_is_named() {
        let event = sample::event(r#"{"type":"a","tenant":"acme","data":1}"#);
        let filter = Filter { tenant: "zeta".to_owned(), events: vec!["**".to_owned()], condition: None };
        let verdict = CompiledFilter::compile(&filter).unwrap().explain(&event);
        assert_eq!(verdict.to_string(), "the event belongs to tenant `acme`, the subscription to `zeta`");
    }

    #[test]
    fn refused_filters_name_the_part() {
        let filter = |events: &str, condition: &str| Filter {
            tenant: String::new(),
            events: vec!["a".to_owned(), events.to_owned()],
            condition: Some(condition.to_owned()),
        };
        let error = CompiledFilter::compile(&filter("b*", "true")).unwrap_err();
        assert!(matches!(error, FilterError::Pattern { index: 1, .. }));
        assert!(error.to_string().starts_with("event pattern `b*`: "));
        let error = CompiledFilter::compile(&filter("b", "true &&")).unwrap_err();
        assert_eq!(error.to_string(), "condition, at character 8: the condition ends too early");
    }
}
