//! Who asks, and what they may.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};

use super::control::ControlError;
use super::door::Stranger;
use super::problem::{Problem, ProblemKind};

/// What a caller may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See what is delivered and how the engine does, change nothing; jobs of replays, tokens and changes are for the others.
    Read,
    /// Have deliveries sent again, or cancelled.
    Replay,
    /// Change subscriptions, tokens and the configuration, and write events.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Replay, Self::Admin];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Replay => "replay",
            Self::Admin => "admin",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// For the log of changes: the token's name, or `socket`.
    pub name: String,
    pub scope: Scope,
    /// The one tenant that it sees. `None`: all.
    pub tenant: Option<String>,
}

impl Caller {
    /// Who may open the unix socket may do everything.
    pub fn socket() -> Self {
        Self { name: "socket".to_owned(), scope: Scope::Admin, tenant: None }
    }

    /// Whether what belongs to `tenant` exists for this caller.
    pub fn sees(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|own| own == tenant)
    }

    /// `Forbidden` for a tenant's token: `what` belongs to all tenants together.
    pub fn needs_all_tenants(&self, what: &str) -> Result<(), ControlError> {
        match self.tenant {
            None => Ok(()),
            Some(_) => Err(ControlError::Forbidden(format!(
                "{what} is of all tenants together; the token \"{}\" belongs to one",
                self.name
            ))),
        }
    }

    /// `Forbidden` unless the caller has at least this scope.
    pub fn needs(&self, scope: Scope) -> Result<(), Problem> {
        if self.scope >= scope {
            return Ok(());
        }
        let (own, wanted) = (self.scope.as_str(), scope.as_str());
        let detail = format!("this needs the scope \"{wanted}\"; the token \"{}\" has \"{own}\"", self.name);
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }
}

/// Whoever let the request in has said who it is.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let advice = || parts.extensions.get::<Stranger>().map_or("give a token", |stranger| stranger.advice);
        let unknown = || Problem::new(ProblemKind::Unauthorized, advice());
        parts.extensions.get::<Self>().cloned().ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_include_those_below() {
        let caller = Caller { name: "monitor".into(), scope: Scope::Replay, tenant: Some("acme".into()) };
        assert!(caller.needs(Scope::Read).is_ok() && caller.needs(Scope::Replay).is_ok());
        let refused = caller.needs(Scope::Admin).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Forbidden);
        assert!(refused.detail.contains("\"admin\"") && refused.detail.contains("monitor"), "{}", refused.detail);
        assert!(caller.sees("acme") && !caller.sees("default"));
        assert!(Caller::socket().sees("acme"));
    }
}
