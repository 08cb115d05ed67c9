//! Where each segment's file lies now. Shared between the thread that moves segments and those that look events up.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::env::Files;
use crate::model::SegmentId;

use super::layout::Layout;
use super::names::parse_segment_name;

#[derive(Clone, Default)]
pub(super) struct SegmentIndex {
    paths: Arc<RwLock<HashMap<SegmentId, PathBuf>>>,
}

impl SegmentIndex {
    pub(super) fn set(&self, id: SegmentId, path: PathBuf) {
        self.paths.write().unwrap_or_else(PoisonError::into_inner).insert(id, path);
    }

    pub(super) fn remove(&self, id: SegmentId) {
        self.paths.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(super) fn get(&self, id: SegmentId) -> Option<PathBuf> {
        self.paths.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Reads the directories anew.
    pub(super) fn refresh(&self, files: &dyn Files, layout: &Layout) -> io::Result<()> {
        let mut found = HashMap::new();
        let mut dirs = layout.archive_days(files)?;
        // A segment may move to the archive between two listings; looked at last, `claimed/` could miss it altogether.
        dirs.insert(0, layout.claimed.clone());
        for dir in dirs {
            for entry in files.list(&dir)? {
                if let Some((id, _)) = parse_segment_name(OsStr::new(&entry.name)) {
                    found.insert(id, dir.join(&entry.name));
                }
            }
        }
        *self.paths.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }
}
