//! The `wire` room, as `sign` and `verify` see it.

use super::super::error::{CliError, ExitKind};
use crate::model::{Secret, Timestamp};

/// What a signature is made over.
#[derive(Clone, Debug)]
pub struct Message {
    /// A built-in dialect that signs: `umbra`, `standard`, `clarus`.
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

/// The headers a sender would add, in order. A dialect that is not known or does not sign is `Usage`.
pub fn sign(message: &Message) -> Result<Vec<(String, String)>, CliError> {
    Err(unknown(&message.dialect))
}

/// Judges the headers of a request. `message.at` is now; `message.id` is not used.
pub fn verify(message: &Message, headers: &[(String, String)]) -> Result<Verdict, CliError> {
    let _ = headers;
    Err(unknown(&message.dialect))
}

fn unknown(dialect: &str) -> CliError {
    CliError::new(ExitKind::Usage, format!("there is no signing dialect \"{dialect}\""))
}
