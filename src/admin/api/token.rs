//! Tokens on the wire. The token itself is in one answer only: the one that creates it.

use serde::{Deserialize, Serialize};

use super::text;
use crate::admin::caller::Scope;
use crate::model::Timestamp;

/// One token, without what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// `tok_` and twelve hex digits; never given twice.
    pub id: String,
    /// Unique within its tenant. Changes made with the token are recorded under it.
    pub name: String,
    pub scope: Scope,
    /// The one tenant it sees; `null`: all.
    pub tenant: Option<String>,
    #[serde(with = "text")]
    pub created_at: Timestamp,
    /// The last four hex digits of the token's SHA-256, to tell which file holds which token.
    pub fingerprint: String,
}

/// What `POST /v1/tokens` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub name: String,
    #[serde(default = "least")]
    pub scope: Scope,
    /// Without one, the tenant of who creates it.
    #[serde(default)]
    pub tenant: Option<String>,
}

fn least() -> Scope {
    Scope::Read
}

/// The answer to a creation or a revocation. It has no `Debug`, because it may hold the token.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenAnswer {
    pub result: String,
    pub message: String,
    /// `sph_` and 43 characters: there after a creation, and never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(flatten)]
    pub about: Token,
}
