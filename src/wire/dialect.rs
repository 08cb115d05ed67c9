//! A dialect as it is used: what `compile.rs` made of its table, and which of its shapes an event takes.

use std::time::Duration;

use super::glob::Glob;
use super::signature::Signature;
use super::template::Template;
use crate::model::{Event, Mode, Operation, Secret};

/// The shape of a request on the wire, compiled from its TOML table.
#[derive(Clone, Debug)]
pub struct Dialect {
    pub(super) name: String,
    pub(super) defaults: DialectDefaults,
    pub(super) params: Vec<Param>,
    pub(super) event_types: Vec<String>,
    /// The variants in written order, then the dialect's own shape, which every event fits.
    pub(super) shapes: Vec<Shape>,
    pub(super) signature: Option<Signature>,
}

/// What a subscription gets when neither it nor `[delivery]` says otherwise, and what the dialect asks of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialectDefaults {
    pub mode: Option<Mode>,
    pub timeout: Option<Duration>,
    /// Name of a retry schedule.
    pub retry: Option<String>,
    /// The URL must be `https`.
    pub require_https: bool,
    /// Per tenant.
    pub max_subscriptions: Option<u32>,
}

/// Something the dialect wants to know from `[subscription.params]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Param {
    pub name: String,
    pub required: bool,
    /// One sentence for a person.
    pub help: String,
    /// The values it may have; empty when any will do.
    pub one_of: Vec<String>,
    /// What stands in for it: a text that may use `{{tenant}}` and `{{subscription}}`.
    pub default: Option<String>,
}

/// One body with its headers, and the events it is for.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) when: When,
    pub(super) body: Template,
    pub(super) headers: Vec<Header>,
}

/// Every condition that is given must hold; an empty list is not given.
#[derive(Clone, Debug, Default)]
pub(super) struct When {
    pub(super) types: Vec<Glob>,
    pub(super) operations: Vec<Operation>,
    /// Number of a parameter and the value it must have.
    pub(super) params: Vec<(usize, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: Template,
}

impl Dialect {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn defaults(&self) -> &DialectDefaults {
        &self.defaults
    }

    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The catalogue: types that the receivers of this dialect know. Others are rendered just the same.
    pub fn event_types(&self) -> &[String] {
        &self.event_types
    }

    /// The header that carries the signature, by which a receiver can tell the dialect; `None` when it does not sign.
    pub fn signature_header(&self) -> Option<&str> {
        self.signature.as_ref().map(|signature| signature.header.as_str())
    }

    /// Whether every secret of a subscription signs, rather than the newest alone.
    pub fn signs_with_all(&self) -> bool {
        self.signature.as_ref().is_some_and(|signature| signature.join.is_some())
    }

    /// Whether a subscription without a secret cannot be served.
    pub fn needs_secret(&self) -> bool {
        self.signature.as_ref().is_some_and(|signature| signature.required)
    }

    /// Whether this dialect can sign with `secret`; if not, a sentence that says why and does not show it.
    pub fn check_secret(&self, secret: &Secret) -> Result<(), String> {
        match &self.signature {
            Some(signature) => signature.signer(secret).map(drop),
            None => Err(format!("dialect `{}` does not sign; remove the secret or choose another dialect", self.name)),
        }
    }

    /// The first shape that fits.
    pub(super) fn shape(&self, event: &Event, params: &[Option<String>]) -> &Shape {
        let fits = |shape: &&Shape| shape.when.holds(event, params);
        self.shapes.iter().find(fits).expect("the last shape has no condition")
    }
}

impl When {
    pub(super) fn is_empty(&self) -> bool {
        self.types.is_empty() && self.operations.is_empty() && self.params.is_empty()
    }

    fn holds(&self, event: &Event, params: &[Option<String>]) -> bool {
        (self.types.is_empty() || self.types.iter().any(|glob| glob.matches(&event.event_type)))
            && (self.operations.is_empty() || self.operations.contains(&event.operation))
            && self.params.iter().all(|(index, value)| params[*index].as_ref() == Some(value))
    }
}
