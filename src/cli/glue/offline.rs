//! A stopped engine's state and spool, as `audit` sees them. The state's lock keeps an engine away meanwhile.

use std::path::Path;
use std::sync::Arc;

use super::super::client::Answer;
use super::super::error::{CliError, ExitKind};
use crate::admin::api::Books;
use crate::engine::audit;
use crate::env::{Files, OsFiles};
use crate::ingest::LogReader;
use crate::model::Timestamp;
use crate::store::{LockError, State, StateError};

/// The books of the state in `state` and the spool in `spool`; `None` when no engine ever ran there, or one runs now.
pub fn audit(state: &Path, spool: &Path, now: Timestamp) -> Result<Option<Answer<Books>>, CliError> {
    // Opening makes what is missing, and an audit must not.
    if !state.join("journal").is_dir() {
        return Ok(None);
    }
    let failed = |error: &dyn std::fmt::Display| CliError::new(ExitKind::Io, format!("cannot audit: {error}"));
    let files: Arc<dyn Files> = Arc::new(OsFiles);
    let reader = match State::open(files.clone(), state, now) {
        Ok((state, _)) => state,
        Err(StateError::Lock(LockError::Held { .. })) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let log = LogReader::new(files, spool);
    let value = audit::offline(&reader.reader(), &log).map_err(|error| failed(&error))?;
    let json = serde_json::to_vec(&value).map_err(|error| failed(&error))?;
    Ok(Some(Answer { value, json }))
}
