//! Where each segment's file lies now, and the files that were opened lately. Shared between the thread that moves and removes
//! segments and those that look events up.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::env::{Files, ReadFile};
use crate::model::SegmentId;

use super::layout::Layout;
use super::names::parse_segment_name;

/// Segments kept open.
const MAX_OPEN: usize = 32;

type OpenFiles = VecDeque<(SegmentId, Arc<dyn ReadFile>)>;

#[derive(Clone, Default)]
pub(super) struct SegmentIndex {
    paths: Arc<RwLock<HashMap<SegmentId, PathBuf>>>,
    open: Arc<Mutex<OpenFiles>>,
}

impl SegmentIndex {
    pub(super) fn set(&self, id: SegmentId, path: PathBuf) {
        self.paths.write().unwrap_or_else(PoisonError::into_inner).insert(id, path);
    }

    /// Forgets a segment, and closes it: a removed file takes its place on the disk as long as it is open.
    pub(super) fn remove(&self, id: SegmentId) {
        self.paths.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.open_files().retain(|(open, _)| *open != id);
    }

    /// The files that are kept open.
    pub(super) fn open_files(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a segment, opened by `open` unless it is open.
    pub(super) fn file(
        &self,
        id: SegmentId,
        open: impl FnOnce() -> io::Result<Option<Arc<dyn ReadFile>>>,
    ) -> io::Result<Option<Arc<dyn ReadFile>>> {
        let mut files = self.open_files();
        if let Some((_, file)) = files.iter().find(|(open, _)| *open == id) {
            return Ok(Some(Arc::clone(file)));
        }
        let Some(file) = open()? else { return Ok(None) };
        if files.len() == MAX_OPEN {
            files.pop_front();
        }
        files.push_back((id, Arc::clone(&file)));
        Ok(Some(file))
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
