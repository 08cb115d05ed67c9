//! Looking back through the journal, newest first: it is the history of attempts.

use std::ops::ControlFlow;

use super::frame::Item;
use super::journal::{self, JournalError, JournalFile, Listed};
use super::record::Record;
use super::state::StateReader;
use crate::model::Timestamp;

impl StateReader {
    /// When the newest of the journal's files was written that are more than `bytes_max` behind its end.
    pub fn history_over(&self, bytes_max: u64) -> Result<Option<Timestamp>, JournalError> {
        let io_error = |action| move |source| JournalError::Io { action, path: self.journal_dir.clone(), source };
        let mut bytes = 0;
        for Listed { path, len, .. } in
            journal::list(&*self.files, &self.journal_dir).map_err(io_error("list"))?.into_iter().rev()
        {
            bytes += len;
            if bytes > bytes_max && bytes > len {
                return journal::written(&*self.files, &path).map(Some);
            }
        }
        Ok(None)
    }

    /// Shows records to `visit`, newest first, from below `before_lsn` on, until it breaks or the history ends. Records that
    /// do not read back are passed over: opening the state has reported them.
    pub fn history(
        &self,
        before_lsn: u64,
        mut visit: impl FnMut(u64, Record) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let io_error = |source| JournalError::Io { action: "list", path: self.journal_dir.clone(), source };
        let files = journal::list(&*self.files, &self.journal_dir).map_err(io_error)?;
        for listed in files.into_iter().rev().filter(|file| file.first_lsn < before_lsn) {
            let file = match JournalFile::read(&*self.files, listed.path) {
                Ok(file) => file,
                Err(JournalError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let mut newest = 0;
            let frames: Vec<_> = file
                .items()
                .filter_map(|item| match item {
                    // One that came before stands where another was overwritten.
                    Item::Frame(frame) if frame.lsn < before_lsn && frame.lsn > newest => {
                        newest = frame.lsn;
                        Some(frame)
                    }
                    _ => None,
                })
                .collect();
            for frame in frames.into_iter().rev() {
                if let Ok(record) = file.decode(&frame)
                    && visit(frame.lsn, record).is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
