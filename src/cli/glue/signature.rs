//! The `wire` room, as `sign`, `verify` and `listen` see it.

use std::sync::Arc;

use super::super::error::{CliError, ExitKind};
use crate::model::{Secret, Timestamp};
use crate::wire::{self, Dialect, Dialects};

/// What a signature is made over.
#[derive(Clone, Debug)]
pub struct Message {
    /// A built-in dialect that signs: `umbra`, `standard`, `cloudevents`, or an example: `github`, `stripe`.
    pub dialect: String,
    /// Newest first; all of them sign where the dialect can.
    pub secrets: Vec<Secret>,
    /// Delivery (or message) id.
    pub id: String,
    /// When it is signed.
    pub at: Timestamp,
    pub body: Vec<u8>,
}

/// What a check of a signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There was no secret to check with.
    NotChecked,
    /// `signature ok (umbra, key 3f9a)`: whose, and the fingerprint of the secret that fits.
    Good(String),
    /// A sentence: no signature header, key differs, too old.
    Bad(String),
}

/// The dialects that ship: the built-in ones, and the examples under their names.
pub fn dialects() -> Dialects {
    let mut all = Dialects::built_in();
    for (name, text) in wire::EXAMPLES {
        let table: toml::Table = text.parse().expect("the examples are TOML");
        let compiled = Dialect::compile(name, &table).expect("the examples compile");
        all.insert(compiled);
    }
    all
}

/// The dialect of this name.
pub fn find(name: &str) -> Result<Arc<Dialect>, CliError> {
    let all = dialects();
    all.get(name).cloned().ok_or_else(|| {
        let known = all.names().join(", ");
        CliError::new(ExitKind::Usage, format!("there is no dialect \"{name}\"; known are {known}"))
    })
}

/// The headers a sender would add, in order. A dialect that is not known or does not sign is `Usage`.
pub fn sign(message: &Message) -> Result<Vec<(String, String)>, CliError> {
    let dialect = find(&message.dialect)?;
    let headers = dialect
        .sign(&message.body, &message.id, message.at, &message.secrets)
        .map_err(|error| CliError::new(ExitKind::Usage, error.to_string()))?;
    if headers.is_empty() {
        let message = format!("the dialect \"{}\" does not sign", message.dialect);
        return Err(CliError::new(ExitKind::Usage, message));
    }
    Ok(headers)
}

/// Judges the headers of a request. `message.at` is now; `message.id` is not used.
pub fn verify(message: &Message, headers: &[(String, String)]) -> Result<Verdict, CliError> {
    let dialect = find(&message.dialect)?;
    Ok(judge(&dialect, headers, &message.body, &message.secrets, message.at))
}

/// What `dialect` says of a request.
pub fn judge(
    dialect: &Dialect,
    headers: &[(String, String)],
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Verdict {
    if secrets.is_empty() {
        return Verdict::NotChecked;
    }
    let name = dialect.name();
    match dialect.verify(headers, body, secrets, now) {
        wire::Verdict::Ok { fingerprint } => Verdict::Good(format!("signature ok ({name}, key {fingerprint})")),
        wire::Verdict::Unsigned => Verdict::NotChecked,
        wire::Verdict::Missing(header) => Verdict::Bad(format!("the header {header} is missing ({name})")),
        wire::Verdict::Mismatch { reason } => Verdict::Bad(format!("SIGNATURE MISMATCH ({name}): {reason}")),
        wire::Verdict::Stale { skew_s } => {
            Verdict::Bad(format!("the signature is {skew_s} s old ({name}); more than five minutes is too much"))
        }
    }
}
