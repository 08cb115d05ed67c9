//! `tokens.json`: what is known of the tokens that were given out. It holds hashes, never a token.
//!
//! ```json
//! {"version":1,"tokens":[{"id":"tok_5f0c…","name":"monitor","scope":"read","tenant":null,
//!                         "created_at":"2026-03-12T10:00:00.000Z","sha256":"9f86…"}]}
//! ```

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::DoorError;
use crate::admin::api::Token;
use crate::admin::caller::Scope;
use crate::env::{Files, replace};
use crate::model::{Timestamp, hex, unhex};

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub id: String,
    pub name: String,
    pub scope: Scope,
    pub tenant: Option<String>,
    pub created_at: Timestamp,
    pub sha256: [u8; 32],
}

impl Kept {
    /// What may be shown of it.
    pub fn about(&self) -> Token {
        Token {
            id: self.id.clone(),
            name: self.name.clone(),
            scope: self.scope,
            tenant: self.tenant.clone(),
            created_at: self.created_at,
            fingerprint: hex(&self.sha256[30..]),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    tokens: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    name: String,
    scope: Scope,
    tenant: Option<String>,
    created_at: String,
    sha256: String,
}

const VERSION: u32 = 1;

/// The tokens in the file at `path`; none, when there is no file.
pub(super) fn load(files: &dyn Files, path: &Path) -> Result<Vec<Kept>, DoorError> {
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(DoorError::Read { path: path.to_owned(), source }),
    };
    parse(&bytes).map_err(|detail| DoorError::Damaged { path: path.to_owned(), detail })
}

fn parse(bytes: &[u8]) -> Result<Vec<Kept>, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if document.version != VERSION {
        return Err(format!("it has version {}, this program reads version {VERSION}", document.version));
    }
    let kept = |row: Row| {
        let sha256 = unhex(&row.sha256).ok_or(format!("the hash of {} is none", row.id))?;
        let created_at = Timestamp::parse(&row.created_at).ok_or(format!("the date of {} is none", row.id))?;
        Ok(Kept { id: row.id, name: row.name, scope: row.scope, tenant: row.tenant, created_at, sha256 })
    };
    document.tokens.into_iter().map(kept).collect()
}

/// Puts `tokens` in the place of what the file held, durably.
pub(super) fn save(files: &dyn Files, path: &Path, tokens: &[Kept]) -> io::Result<()> {
    let row = |kept: &Kept| Row {
        id: kept.id.clone(),
        name: kept.name.clone(),
        scope: kept.scope,
        tenant: kept.tenant.clone(),
        created_at: kept.created_at.to_string(),
        sha256: hex(&kept.sha256),
    };
    let document = Document { version: VERSION, tokens: tokens.iter().map(row).collect() };
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    replace(files, path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    #[test]
    fn what_is_saved_is_loaded_and_what_is_damaged_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        assert_eq!(load(&OsFiles, &path).unwrap(), []);
        let kept = Kept {
            id: "tok_1".into(),
            name: "a".into(),
            scope: Scope::Replay,
            tenant: Some("acme".into()),
            created_at: Timestamp(1_773_309_600_000),
            sha256: [7; 32],
        };
        save(&OsFiles, &path, std::slice::from_ref(&kept)).unwrap();
        assert_eq!(load(&OsFiles, &path).unwrap(), [kept]);
        let good = std::fs::read_to_string(&path).unwrap();
        for bad in ["", "{}", &good[..40], &good.replace("0707", "zz"), &good.replace(": 1", ": 2")] {
            std::fs::write(&path, bad).unwrap();
            let error = load(&OsFiles, &path).unwrap_err().to_string();
            assert!(error.contains("tokens.json is damaged") && error.contains("token create"), "{error}");
        }
    }
}
