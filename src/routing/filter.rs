//! One subscription's filter, compiled: the judge of a single event, live or old.

use std::fmt;

use super::condition::{Condition, ConditionError, Evaluation};
use super::context::EventContext;
use super::explain::MatchVerdict;
use super::pattern::Pattern;
use crate::model::{Event, Filter};

/// A filter ready to judge events.
#[derive(Debug)]
pub struct CompiledFilter {
    tenant: String,
    patterns: Vec<Pattern>,
    condition: Option<Condition>,
}

/// Which part of a filter is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// `index` counts from 0 in the filter's `events`.
    Pattern {
        index: usize,
        pattern: String,
        message: String,
    },
    Condition(ConditionError),
}

impl fmt::Display for FilterError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern { pattern, message, .. } => write!(out, "event pattern `{pattern}`: {message}"),
            Self::Condition(error) => write!(out, "condition, at character {}: {error}", error.offset + 1),
        }
    }
}

impl std::error::Error for FilterError {}

impl CompiledFilter {
    /// Compiles the patterns and the condition; the first fault is returned.
    pub fn compile(filter: &Filter) -> Result<Self, FilterError> {
        let parse = |(index, pattern): (usize, &String)| {
            Pattern::parse(pattern).map_err(|message| FilterError::Pattern { index, pattern: pattern.clone(), message })
        };
        Ok(Self {
            tenant: filter.tenant.clone(),
            patterns: filter.events.iter().enumerate().map(parse).collect::<Result<_, _>>()?,
            condition: filter
                .condition
                .as_deref()
                .map(Condition::compile)
                .transpose()
                .map_err(FilterError::Condition)?,
        })
    }

    /// Whether the subscription takes events of this one's tenant and type, whatever its condition says.
    pub fn may_match(&self, event: &Event) -> bool {
        self.tenant == event.tenant && self.patterns.iter().any(|pattern| pattern.matches(&event.event_type))
    }

    /// Whether the subscription takes this event. For one lane reading its past; for all at once there is the router.
    pub fn matches(&self, event: &Event) -> bool {
        self.may_match(event) && (self.condition.is_none() || self.condition_holds(&EventContext::new(event)))
    }

    /// As [`CompiledFilter::matches`], with the reason.
    pub fn explain(&self, event: &Event) -> MatchVerdict {
        self.explain_in(event, &EventContext::new(event))
    }

    pub(super) fn explain_in(&self, event: &Event, context: &EventContext<'_>) -> MatchVerdict {
        if self.tenant != event.tenant {
            return MatchVerdict::WrongTenant { wanted: self.tenant.clone(), found: event.tenant.to_string() };
        }
        if !self.patterns.iter().any(|pattern| pattern.matches(&event.event_type)) {
            let patterns = self.patterns.iter().map(Pattern::to_string).collect();
            return MatchVerdict::WrongType { patterns, found: event.event_type.to_string() };
        }
        let Some(condition) = &self.condition else { return MatchVerdict::Matched };
        match condition.evaluate(context) {
            Evaluation::True => MatchVerdict::Matched,
            Evaluation::False(range) => {
                MatchVerdict::ConditionFalse { condition: condition.text().to_owned(), failing: range }
            }
            Evaluation::Error(reason) => {
                MatchVerdict::ConditionError { condition: condition.text().to_owned(), reason }
            }
        }
    }

    pub(super) fn condition_holds(&self, context: &EventContext<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.evaluate(context) == Evaluation::True)
    }

    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    pub(super) fn has_condition(&self) -> bool {
        self.condition.is_some()
    }
}
