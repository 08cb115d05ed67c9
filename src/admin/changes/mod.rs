//! The log of changes: who changed what, when, and how it was before and after.
//!
//! Every write over the API is recorded by the route table once it has succeeded, before its answer goes out; a handler says
//! more about it with [`Changed`]. What is changed without a request is recorded by whoever does it, with
//! [`Changes::record`].

mod log;
#[cfg(test)]
mod tests;
mod webhook;

use serde_json::Value;

pub use log::{ChangeError, Changes};

/// A change to record; number and time are given by the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewChange {
    pub by: String,
    pub tenant: Option<String>,
    pub method: Option<String>,
    pub route: Option<String>,
    pub thing: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: Option<String>,
}

/// What a handler knows about the change that it made. It goes into the response's extensions:
/// `Ok((Extension(Changed::of("subscription acme/erp").tenant("acme")), Json(answer)))`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    pub(super) thing: String,
    pub(super) tenant: Option<String>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    pub(super) is_nothing: bool,
}

impl Changed {
    /// `thing` is a kind and a name: `subscription acme/erp`.
    pub fn of(thing: impl Into<String>) -> Self {
        Self { thing: thing.into(), ..Self::default() }
    }

    /// Nothing was changed that an audit would ask for: a dry run, an event taken in.
    pub fn nothing() -> Self {
        Self { is_nothing: true, ..Self::default() }
    }

    /// Whose thing it is. A tenant's administrator sees the changes to its tenant's things.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// How it was, without secrets.
    #[must_use]
    pub fn before(mut self, value: Value) -> Self {
        self.before = Some(value);
        self
    }

    /// How it is now, without secrets.
    #[must_use]
    pub fn after(mut self, value: Value) -> Self {
        self.after = Some(value);
        self
    }
}
