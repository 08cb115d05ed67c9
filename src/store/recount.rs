//! The state added up once more from the journal alone, for those who compare the two.

use std::collections::HashMap;

use super::frame::{Frame, Item};
use super::journal::{self, BIRTH, JournalError, JournalFile, Listed};
use super::ledger::{Ledger, RowChange};
use super::record::{DeliveryKey, ExceptionRow, ExceptionStatus};
use super::rows;
use super::state::StateReader;

/// What a row says, in few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMark {
    pub status: ExceptionStatus,
    checksum: u32,
}

impl RowMark {
    pub fn of(row: &ExceptionRow) -> Self {
        Self { status: row.status, checksum: rows::checksum(row) }
    }
}

/// The journal's sum.
pub struct Recount {
    pub ledger: Ledger,
    pub rows: HashMap<DeliveryKey, RowMark>,
    /// It begins with the first record, and none is missing: the state must be the same.
    pub is_whole: bool,
    /// What of the journal does not read back, in sentences that begin with `journal:`.
    pub damage: Vec<String>,
}

impl StateReader {
    /// Adds up the records up to number `upto`.
    pub fn recount(&self, upto: u64) -> Result<Recount, JournalError> {
        let io_error = |source| JournalError::Io { action: "list", path: self.journal_dir.clone(), source };
        let listed = journal::list(&*self.files, &self.journal_dir).map_err(io_error)?;
        let mut sum = Sum {
            recount: Recount { ledger: Ledger::new(), rows: HashMap::new(), is_whole: true, damage: Vec::new() },
            last: listed.first().map_or(0, |file| file.first_lsn.saturating_sub(1)),
            upto,
        };
        sum.recount.is_whole = sum.last == 0;
        for Listed { path, .. } in listed.into_iter().filter(|file| file.first_lsn <= upto) {
            sum.file(&JournalFile::read(&*self.files, path)?)?;
        }
        if sum.last < upto {
            let last = sum.last;
            sum.damaged(format!(
                "journal: it ends with record {last} in {}, and the state goes up to record {upto}",
                self.journal_dir.display()
            ));
        }
        Ok(sum.recount)
    }
}

struct Sum {
    recount: Recount,
    /// Number of the last record that was added.
    last: u64,
    upto: u64,
}

impl Sum {
    fn file(&mut self, file: &JournalFile) -> Result<(), JournalError> {
        let path = file.path.display();
        let mut open_commit: Vec<Frame<'_>> = Vec::new();
        let mut broken = None;
        for item in file.items() {
            match item {
                // Behind the last commit it is the beginning of one that never happened, or is being written now.
                Item::Damage { start, end } => broken = Some((file.offset(start), file.offset(end))),
                Item::Frame(frame) if frame.lsn == BIRTH => {}
                Item::Frame(frame) => {
                    if let Some((start, end)) = broken.take() {
                        self.damaged(format!("journal: bytes {start} to {end} of {path} are damaged"));
                    }
                    open_commit.push(frame);
                    if frame.commit {
                        for frame in std::mem::take(&mut open_commit) {
                            self.record(file, &frame)?;
                        }
                    }
                }
            }
            if self.last >= self.upto {
                break;
            }
        }
        Ok(())
    }

    fn record(&mut self, file: &JournalFile, frame: &Frame<'_>) -> Result<(), JournalError> {
        if frame.lsn <= self.last || frame.lsn > self.upto {
            return Ok(());
        }
        if frame.lsn > self.last + 1 {
            let (from, to, path, at) = (self.last + 1, frame.lsn - 1, file.path.display(), file.offset(frame.start));
            self.damaged(format!("journal: records {from} to {to} are missing before byte {at} of {path}"));
        }
        self.last = frame.lsn;
        match self.recount.ledger.apply(frame.lsn, &file.decode(frame)?) {
            Some(RowChange::Put(key, row)) => drop(self.recount.rows.insert(key, RowMark::of(&row))),
            Some(RowChange::Delete(key)) => drop(self.recount.rows.remove(&key)),
            None => {}
        }
        Ok(())
    }

    fn damaged(&mut self, sentence: String) {
        self.recount.is_whole = false;
        self.recount.damage.push(sentence);
    }
}
