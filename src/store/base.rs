//! What the state can be built upon: the view as it is, or a checkpoint.

use std::path::Path;

use super::checkpoint::Checkpoint;
use super::ledger::Ledger;
use super::survey::Survey;
use super::tree::Trees;
use super::view::{View, ViewError};
use crate::env::Files;
use crate::model::Timestamp;

/// What the state can be built upon.
pub(super) enum Base {
    View { view: View, ledger: Box<Ledger>, rows_lsn: u64, born: Option<Timestamp> },
    Checkpoint(Checkpoint),
    Nothing,
}

impl Base {
    pub(super) fn lsn(&self) -> u64 {
        match self {
            Self::View { ledger, .. } => ledger.lsn,
            Self::Checkpoint(checkpoint) => checkpoint.lsn,
            Self::Nothing => 0,
        }
    }

    pub(super) fn born(&self) -> Option<Timestamp> {
        match self {
            Self::View { born, .. } => *born,
            Self::Checkpoint(checkpoint) => checkpoint.born(),
            Self::Nothing => None,
        }
    }

    /// How far its rows go: the view's may be ahead of its ledger.
    pub(super) fn rows_lsn(&self) -> u64 {
        match self {
            Self::View { rows_lsn, ledger, .. } => ledger.lsn.max(*rows_lsn),
            other => other.lsn(),
        }
    }

    /// How good it is: the greatest wins. A view whose rows come from records that are lost is worse than any checkpoint.
    pub(super) fn rank(&self, survey: &Survey) -> (bool, u64, bool, u64) {
        let reach = survey.reach(self.lsn());
        let is_view = matches!(self, Self::View { .. });
        (!(is_view && self.rows_lsn() > reach), reach, is_view, self.lsn())
    }
}

/// Whether two births may be of one state: an unknown one may.
pub(super) fn agree(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// A view that opens.
pub(super) enum Loaded {
    Known(Base),
    /// It never got as far as its ledger, or is new.
    Begun(View),
}

/// Opens the view at `path` and reads all of it.
pub(super) fn load(trees: &dyn Trees, files: &dyn Files, path: &Path) -> Result<Loaded, ViewError> {
    let view = View::open(trees, files, path)?;
    view.verify()?;
    let Some(ledger) = view.load_ledger()? else { return Ok(Loaded::Begun(view)) };
    let (rows_lsn, born) = (view.rows_lsn()?, view.born()?);
    Ok(Loaded::Known(Base::View { view, ledger: Box::new(ledger), rows_lsn, born }))
}
