//! A stopped engine's state and spool, as `audit` sees them. The state's lock keeps an engine away meanwhile.

use std::path::Path;
use std::sync::Arc;

use super::super::client::Answer;
use super::super::error::{CliError, ExitKind};
use crate::admin::api::{BackupPlan, Books};
use crate::engine::{audit, backup};
use crate::env::{Files, OsFiles};
use crate::ingest::LogReader;
use crate::model::Timestamp;
use crate::store::{LockError, State, StateError};

/// What an audit without an engine comes to.
pub struct Audited {
    pub answer: Answer<Books>,
    /// What opening the state found missing or damaged, and did about it.
    pub found: Vec<String>,
}

/// The books of the state in `state` and the spool in `spool`; `None` when an engine runs.
pub fn audit(state: &Path, spool: &Path, now: Timestamp) -> Result<Option<Audited>, CliError> {
    // Opening makes what is missing, and an audit must not.
    if !state.join("journal").is_dir() {
        let text = format!("cannot audit: no engine answers, and there is no journal in {}", state.display());
        return Err(CliError::new(ExitKind::Unreachable, text)
            .help("if no engine has run here yet, start one: spoolhook run")
            .help("if one has, its state is gone, or [state] dir names another place: put it right before the start"));
    }
    let failed = |error: &dyn std::fmt::Display| CliError::new(ExitKind::Io, format!("cannot audit: {error}"));
    let files: Arc<dyn Files> = Arc::new(OsFiles);
    let (reader, opened) = match State::open(files.clone(), state, now) {
        Ok(open) => open,
        Err(StateError::Lock(LockError::Held { .. })) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let log = LogReader::new(files, spool);
    let value = audit::offline(&reader.reader(), &log).map_err(|error| failed(&error))?;
    let json = serde_json::to_vec(&value).map_err(|error| failed(&error))?;
    Ok(Some(Audited { answer: Answer { value, json }, found: opened.notices }))
}

/// A state that this process has opened: no engine starts on it meanwhile.
pub struct Opened(#[expect(dead_code, reason = "the state's lock lives as long as the state")] State);

/// What a backup of the state in `state` and the spool in `spool` consists of; `None` when an engine runs.
pub fn backup(state: &Path, spool: &Path, now: Timestamp) -> Result<Option<(BackupPlan, Opened)>, CliError> {
    if !state.join("journal").is_dir() {
        let text = format!("nothing to back up: no engine answers, and there is no journal in {}", state.display());
        return Err(CliError::new(ExitKind::Unreachable, text));
    }
    let failed = |error: &dyn std::fmt::Display| CliError::new(ExitKind::Io, format!("cannot back up: {error}"));
    let opened = match State::open(Arc::new(OsFiles), state, now) {
        Ok((opened, _)) => opened,
        Err(StateError::Lock(LockError::Held { .. })) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let plan = backup::plan(&opened.reader(), opened.dir(), spool, now).map_err(|error| failed(&error))?;
    Ok(Some((plan, Opened(opened))))
}
