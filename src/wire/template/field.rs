//! What a placeholder may name, and where its value comes from.

use std::borrow::Cow;

use super::pointer::{self, Tokens};
use super::{Problem, Scope};
use crate::wire::keys::did_you_mean;

/// One thing a template can speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Field {
    Word(Word),
    /// Number of the parameter in the dialect's list.
    Param(usize),
    Json(Root, Tokens),
    /// The one name that only the template at hand knows: `body`, `signatures`.
    Given,
}

/// Fields with a fixed name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Word {
    Type,
    Id,
    Tenant,
    Key,
    Time,
    Operation,
    Trigger,
    Entity,
    DeliveryId,
    Subscription,
    Traceparent,
    Attempt,
    Timestamp,
}

/// Where a JSON pointer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Root {
    Data,
    Old,
    /// The whole object of the line.
    Event,
}

const WORDS: [(&str, Word); 13] = [
    ("type", Word::Type),
    ("id", Word::Id),
    ("tenant", Word::Tenant),
    ("key", Word::Key),
    ("time", Word::Time),
    ("operation", Word::Operation),
    ("trigger", Word::Trigger),
    ("entity", Word::Entity),
    ("delivery_id", Word::DeliveryId),
    ("subscription", Word::Subscription),
    ("traceparent", Word::Traceparent),
    ("attempt", Word::Attempt),
    ("timestamp", Word::Timestamp),
];

const ROOTS: [(&str, Root); 3] = [("data", Root::Data), ("old", Root::Old), ("event", Root::Event)];

/// The value of a field, in the form it has before a template splices it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Value<'a> {
    /// JSON text as the producer wrote it.
    Json(&'a [u8]),
    Text(Cow<'a, str>),
    Integer(i64),
    /// Copied as it is, wherever it stands.
    Bytes(&'a [u8]),
}

/// Answers what the fields are: for an event under way, or for a sample.
pub(in crate::wire) trait Values {
    /// `None` when the event (or the subscription) has no such thing.
    fn value(&self, field: &Field) -> Option<Value<'_>>;
}

impl Field {
    /// Reads a name. `scope` says which parameters and which extra name there are.
    pub(super) fn parse(name: &str, scope: &Scope<'_>) -> Result<Self, Problem> {
        if let Some(param) = name.strip_prefix("params.") {
            return parse_param(param, scope);
        }
        if scope.given == Some(name) {
            return Ok(Self::Given);
        }
        if let Some((_, word)) = WORDS.iter().find(|(known, _)| *known == name) {
            return Ok(Self::Word(*word));
        }
        let (root, path) = name.split_once('#').unwrap_or((name, ""));
        if let Some((_, root)) = ROOTS.iter().find(|(known, _)| *known == root) {
            let tokens = pointer::parse(path).ok_or_else(|| {
                Problem::new(
                    format!("`{path}` is not a JSON pointer"),
                    "write `/` before each name, `~1` for a `/` in it and `~0` for a `~`: data#/customer/id",
                )
            })?;
            return Ok(Self::Json(*root, tokens));
        }
        let known = WORDS.iter().map(|(known, _)| *known).chain(ROOTS.iter().map(|(known, _)| *known));
        let names: Vec<&str> = known.chain(scope.given).collect();
        let help = did_you_mean(name, names.iter().copied())
            .unwrap_or_else(|| format!("known are {} and params.NAME", names.join(", ")));
        Err(Problem::new(format!("unknown placeholder `{name}`"), help))
    }

    /// Whether an event or a subscription may do without it, so that a template must say what happens then.
    pub(super) fn may_be_missing(&self, scope: &Scope<'_>) -> bool {
        match self {
            Self::Word(word) => matches!(word, Word::Key | Word::Traceparent),
            Self::Param(index) => {
                let param = &scope.params[*index];
                !param.required && param.default.is_none()
            }
            Self::Json(root, tokens) => *root == Root::Old || !tokens.is_empty(),
            Self::Given => false,
        }
    }
}

fn parse_param(name: &str, scope: &Scope<'_>) -> Result<Field, Problem> {
    scope.params.iter().position(|param| param.name == name).map(Field::Param).ok_or_else(|| {
        let help = did_you_mean(name, scope.params.iter().map(|param| param.name.as_str()))
            .unwrap_or_else(|| format!("declare it: `[params.{name}]`"));
        Problem::new(format!("unknown parameter `{name}`"), help)
    })
}

/// Stand-ins to try a template with, some of them missing (or null, where nothing can be missing).
pub(super) struct Sample<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) missing: Vec<&'a Field>,
}

impl Values for Sample<'_> {
    fn value(&self, field: &Field) -> Option<Value<'_>> {
        let missing = self.missing.contains(&field);
        if missing && field.may_be_missing(self.scope) {
            return None;
        }
        Some(match field {
            Field::Word(Word::Attempt | Word::Timestamp) => Value::Integer(1),
            Field::Word(_) | Field::Param(_) => Value::Text(Cow::Borrowed("x")),
            Field::Json(..) => Value::Json(if missing { b"null" } else { b"{}" }),
            Field::Given => Value::Bytes(b"x"),
        })
    }
}
