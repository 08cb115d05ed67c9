//! A state without its engine: what is wrong with it, all of it as text, and back. Nothing here mends anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::base::{Base, Loaded, agree, load};
use super::checkpoint::{self, CheckpointError};
use super::ledger::LaneState;
use super::record::ExceptionRow;
use super::rows::{self, Meta, RowError};
use super::state::StateError;
use super::survey::survey;
use super::tree::{SledTrees, Trees};
use super::view::View;
use super::{recovering, state::StateReader};
use crate::env::Files;
use crate::model::Timestamp;

/// What one part of the state is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// `journal`, `view`, or the name of a checkpoint.
    pub part: String,
    pub is_well: bool,
    /// One sentence.
    pub detail: String,
}

/// Looks at journal, checkpoints and view in `dir`, each by itself and together. The caller holds the state's lock.
pub fn verify(files: &dyn Files, dir: &Path) -> Result<Vec<PartReport>, StateError> {
    let mut found = Vec::new();
    let mut say = |part: &str, is_well: bool, detail: String| {
        found.push(PartReport { part: part.to_owned(), is_well, detail });
    };
    let (journal, checkpoints) = (dir.join("journal"), dir.join("checkpoint"));
    let place = dir.join("view");
    // Opening makes what is missing, and this changes nothing.
    let is_there = files.list(&place).is_ok_and(|entries| !entries.is_empty());
    let (view, is_missing) = match is_there.then(|| load(&SledTrees, files, &place)) {
        Some(Ok(Loaded::Known(view))) => (Some(view), false),
        None | Some(Ok(Loaded::Begun(_))) => (None, true),
        Some(Err(error)) => {
            say("view", false, format!("{error}: the next start puts it aside and makes it anew"));
            (None, false)
        }
    };
    let seen = survey(files, &journal, 0)?;
    for damage in &seen.damage {
        let text = format!("bytes {} to {} of {} are damaged", damage.start, damage.end, damage.file.display());
        say("journal", false, text);
    }
    if seen.is_tail_damaged {
        say("journal", false, "its end is damaged: records that somebody acted upon may be gone".to_owned());
    }
    let oldest = super::journal::list(files, &journal)
        .map_err(|source| StateError::io("list the journal in", &journal, source))?
        .first()
        .map_or(1, |file| file.first_lsn);
    let reach = seen.reach(oldest.saturating_sub(1));
    if reach < seen.seen {
        say("journal", false, format!("records {} to {} are missing", reach + 1, seen.seen));
    }
    if seen.damage.is_empty() && !seen.is_tail_damaged && reach >= seen.seen {
        say("journal", true, format!("records {oldest} to {reach}, whole"));
    }
    let named = checkpoint::list(files, &checkpoints)
        .map_err(|source| StateError::io("list the checkpoints in", &checkpoints, source))?;
    let mut bases = vec![0];
    for (lsn, path) in named {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match checkpoint::read(files, lsn, &path)? {
            None => say(&name, false, "it is damaged: not needed while the view is well".to_owned()),
            Some(found) if !agree(found.born(), seen.born) => {
                say(&name, false, "it belongs to another state than the journal".to_owned());
            }
            Some(found) => {
                bases.push(lsn);
                say(&name, true, format!("{} rows, up to record {lsn}", found.pairs.len()));
            }
        }
    }
    if is_missing {
        let is_end_gone = bases.iter().any(|lsn| *lsn > seen.seen);
        let is_whole = !is_end_gone && bases.into_iter().any(|lsn| seen.reach(lsn) >= seen.seen);
        let text = match is_whole {
            true => "there is none, as after a restore: the next start makes it from checkpoint and journal",
            false => "there is none, and what is whole of checkpoints and journal does not make all of it",
        };
        say("view", is_whole, text.to_owned());
    }
    if let Some(Base::View { view, ledger, rows_lsn, born }) = view {
        match view.check(&ledger) {
            _ if !agree(born, seen.born) => {
                say("view", false, "it belongs to another state than the journal".to_owned());
            }
            _ if ledger.lsn.max(rows_lsn) > seen.seen => {
                let text =
                    format!("it reflects record {}, the journal ends with {}", ledger.lsn.max(rows_lsn), seen.seen);
                say("view", false, text);
            }
            // Rows may run ahead of the ledger: replaying the journal makes them meet.
            Err(error) if rows_lsn <= ledger.lsn => say("view", false, error.to_string()),
            _ => say("view", true, format!("up to record {}", ledger.lsn)),
        }
    }
    Ok(found)
}

/// One line of an export: a row as it is, and what it says, for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DumpLine {
    /// `meta`, `subscription`, `delivery`, `extents`, `source`, or `index`.
    pub kind: String,
    /// The row's key and value in base64: this is what an import reads.
    pub key: String,
    pub value: String,
    /// The row in words; an import passes it over.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub shown: Value,
}

/// Hands every row of the state to `each`.
pub fn export(state: &StateReader, mut each: impl FnMut(DumpLine) -> std::io::Result<()>) -> Result<u64, ExportError> {
    let mut count = 0;
    for pair in state.view.dump() {
        let (key, value) = pair.map_err(StateError::from)?;
        let (kind, shown) = show(&key, &value).map_err(|error| StateError::from(super::ViewError::from(error)))?;
        each(DumpLine { kind: kind.to_owned(), key: BASE64.encode(&key), value: BASE64.encode(&value), shown })?;
        count += 1;
    }
    Ok(count)
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("write the export: {0}")]
    Write(#[from] std::io::Error),
}

fn show(key: &[u8], value: &[u8]) -> Result<(&'static str, Value), RowError> {
    let first = key.first().copied().map(|byte| [byte]);
    Ok(match first.as_ref().map(<[u8; 1]>::as_slice) {
        _ if key == rows::META => {
            let meta: Meta = rows::unseal(value)?;
            let spool = meta.spool;
            ("meta", json!({"record": meta.lsn, "next_seq": meta.next_seq, "spool": spool}))
        }
        Some(rows::LANES) => {
            let lane: LaneState = rows::unseal(value)?;
            let shown = json!({"tenant": lane.tenant, "name": lane.name, "paused": lane.paused, "low": lane.low,
                "removed": lane.removed.map(|at| at.to_string()), "books": lane.books, "counters": lane.counters});
            ("subscription", shown)
        }
        Some(rows::EXCEPTIONS) => {
            let row: ExceptionRow = rows::unseal(value)?;
            let key = rows::parse_exception_key(key);
            let shown = json!({
                "delivery_id": uuid::Uuid::from_bytes(row.facts.delivery).to_string(),
                "event_id": row.facts.event_id.as_str(), "type": row.facts.event_type.as_str(),
                "subscription_id": key.map(|key| key.sub.0), "seq": key.map(|key| key.seq),
                "status": format!("{:?}", row.status).to_lowercase(), "attempts": row.attempts,
                "error": row.last.map(|last| last.error),
            });
            ("delivery", shown)
        }
        Some(rows::CHUNKS) => ("extents", Value::Null),
        Some(rows::SOURCES) => ("source", json!({"source": String::from_utf8_lossy(key.get(1..).unwrap_or_default())})),
        _ => ("index", Value::Null),
    })
}

/// Makes a state in `dir`, where there is none, from the lines of an export: as a checkpoint, which the next start builds
/// upon. The caller holds the state's lock.
pub fn import(
    files: &Arc<dyn Files>,
    dir: &Path,
    lines: impl Iterator<Item = Result<DumpLine, String>>,
    now: Timestamp,
) -> Result<u64, ImportError> {
    let mut pairs = BTreeMap::new();
    for (at, line) in lines.enumerate() {
        let bad = |reason: String| ImportError::Line { line: at + 1, reason };
        let line = line.map_err(bad)?;
        let key = BASE64.decode(&line.key).map_err(|error| bad(format!("its key: {error}")))?;
        let value = BASE64.decode(&line.value).map_err(|error| bad(format!("its value: {error}")))?;
        show(&key, &value).map_err(|error| bad(error.to_string()))?;
        pairs.insert(key, value);
    }
    let meta = pairs.get(rows::META).ok_or(ImportError::Incomplete)?;
    let lsn = rows::unseal::<Meta>(meta).map_err(|_| ImportError::Incomplete)?.lsn;
    let notice = "the state was imported from an export: what was sent after that is sent again at least once, and \
                  unknown at most once";
    recovering::write(&**files, dir, notice).map_err(|source| StateError::io("write the notice in", dir, source))?;
    let scratch = dir.join(format!("import-{}", now.as_secs()));
    let count = pairs.len() as u64;
    let written = (|| -> Result<(), StateError> {
        let view = View::open(&SledTrees as &dyn Trees, &**files, &scratch)?;
        view.restore(pairs.into_iter().collect())?;
        if let Some(ledger) = view.load_ledger()? {
            view.check(&ledger)?;
        }
        checkpoint::write(&**files, &dir.join("checkpoint"), &view, lsn)
            .map_err(|error: CheckpointError| error.into())
            .map(drop)
    })();
    // A scratch copy; what cannot be removed is in nobody's way.
    let _ = std::fs::remove_dir_all(&scratch);
    written?;
    Ok(count)
}

/// Why lines do not make a state.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("line {line}: {reason}")]
    Line { line: usize, reason: String },
    #[error("the line of the kind \"meta\" is missing: this is no whole export")]
    Incomplete,
    #[error(transparent)]
    State(#[from] StateError),
}
