//! After the state was lost: what was kept of delivered segments is put back to be read again, because nobody knows any more
//! which of its deliveries had ended. Segments keep their names and lines their places, so that deliveries keep their ids.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::model::SegmentId;

use super::error::IngestError;
use super::layout::ignore_missing;
use super::names::{Origin, parse_segment_name, segment_name};
use super::remnant;
use super::tailer::Ingest;

/// Bytes of one line of filling in a segment made again from its remnant.
const FILLING: usize = 64 << 10;

impl Ingest {
    /// Moves every archived segment back into `claimed/`, and makes segments again from remnants.
    pub(super) fn unarchive(&mut self) -> Result<(), IngestError> {
        let archive = self.layout.archive.clone();
        let days = self.layout.archive_days(self.files.as_ref()).map_err(IngestError::layout(&archive))?;
        let mut dirs = BTreeSet::new();
        for day in days {
            for entry in self.files.list(&day).map_err(IngestError::layout(&day))? {
                if parse_segment_name(&entry.name).is_some() {
                    let from = day.join(&entry.name);
                    self.files
                        .rename_new(&from, &self.layout.claimed.join(&entry.name))
                        .map_err(IngestError::layout(&from))?;
                    dirs.insert(day.clone());
                }
            }
        }
        let remnants = self.layout.remnants.clone();
        for entry in self.files.list(&remnants).map_err(IngestError::layout(&remnants))? {
            if let Some(id) = entry.name.to_str().and_then(|name| name.parse().ok()) {
                let path = remnants.join(&entry.name);
                self.remake(id, &path).map_err(IngestError::layout(&path))?;
            }
        }
        dirs.insert(self.layout.claimed.clone());
        self.sync(&dirs)
    }

    /// Writes a segment in which the lines of a remnant stand where they stood, with blank lines between them. The remnant
    /// stays: should this be interrupted, it is done again.
    fn remake(&self, id: SegmentId, path: &Path) -> io::Result<()> {
        let lines = remnant::lines(&self.files.read(path)?)?;
        let name = segment_name(id, &Origin::Spool { stem: "remnant".to_owned() });
        let draft = self.layout.tmp.join(&name);
        ignore_missing(self.files.unlink(&draft))?;
        let mut file = self.files.create(&draft)?;
        let mut at = 0;
        for (offset, line) in lines {
            while at < offset {
                let len = usize::try_from(offset - at).unwrap_or(usize::MAX).min(FILLING);
                let mut filling = vec![b' '; len];
                filling[len - 1] = b'\n';
                file.append(&filling)?;
                at += len as u64;
            }
            file.append(&[line.as_slice(), b"\n"].concat())?;
            at += line.len() as u64 + 1;
        }
        file.sync_data()?;
        match self.files.rename_new(&draft, &self.layout.claimed.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.files.unlink(&draft),
            other => other,
        }
    }
}
