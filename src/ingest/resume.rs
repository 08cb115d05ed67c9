//! After a restart: which segments are there, and how far each was taken in. The directories are the truth about what
//! exists; the journal only says how far it is done.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::env::FileKind;
use crate::model::{SegmentId, Timestamp};

use super::error::IngestError;
use super::layout::ignore_missing;
use super::log::{OrphanSegment, recover};
use super::names::{Origin, parse_segment_name};
use super::segment::Segment;
use super::shelf::Archived;
use super::tailer::Ingest;
use super::tick::Resume;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Found {
    id: SegmentId,
    path: PathBuf,
    origin: Origin,
}

impl Ingest {
    /// Puts every segment of `claimed/` back into its stream and every archived one on the shelf. The newest id found.
    pub(super) fn resume(&mut self, resume: &Resume, now: Timestamp) -> Result<Option<SegmentId>, IngestError> {
        let at = self.engine_time();
        if let Some(lost) = &resume.lost {
            self.bring_back(resume, lost)?;
        }
        let mut found = self.list_claimed().map_err(IngestError::layout(&self.layout.claimed))?;
        found.sort_by_key(|found| found.id);
        for Found { id, path, .. } in &found {
            self.forget_unfinished(path, resume.consumed.get(id).copied().unwrap_or(0))?;
        }
        self.recover_logs(&found, resume)?;
        let newest_claimed = found.last().map(|found| found.id);
        for Found { id, path, origin } in found {
            self.index.set(id, path.clone());
            let consumed = resume.consumed.get(&id).copied().filter(|_| !self.brought_back.contains(&id)).unwrap_or(0);
            let mut segment = Segment::new(id, path, consumed, self.next_seq, at);
            if matches!(origin, Origin::Log { .. }) {
                segment.copying = Some(false);
            }
            self.push_segment(&origin.stream(), segment);
        }
        let archive = self.layout.archive.clone();
        let newest_archived = self.list_archive(resume, now).map_err(IngestError::layout(archive))?;
        Ok(newest_claimed.max(newest_archived))
    }

    fn list_claimed(&mut self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in self.files.list(&self.layout.claimed)? {
            let Some((id, origin)) = parse_segment_name(&entry.name) else {
                continue;
            };
            if entry.stat.nlink > 1 {
                self.inbox.linked.insert((entry.stat.dev, entry.stat.ino), id);
            }
            found.push(Found { id, path: self.layout.claimed.join(&entry.name), origin });
        }
        Ok(found)
    }

    /// What lies behind the last extent is read from disk: a sync of it may have failed, which the kernel tells only once.
    fn forget_unfinished(&self, path: &Path, consumed: u64) -> Result<(), IngestError> {
        let has_tail = self.files.stat(path).is_ok_and(|stat| stat.kind == FileKind::Regular && stat.len > consumed);
        if has_tail {
            ignore_missing(self.files.forget_cached(path)).map_err(IngestError::durability(path))?;
        }
        Ok(())
    }

    /// Lets the newest copy of each log file tell where copying goes on.
    fn recover_logs(&mut self, found: &[Found], resume: &Resume) -> Result<(), IngestError> {
        let mut newest: HashMap<(&str, u64), OrphanSegment> = HashMap::new();
        for Found { id, path, origin } in found {
            if let Origin::Log { log, ino, base } = origin {
                let consumed = resume.consumed.get(id).copied().unwrap_or(0);
                let segment = OrphanSegment { path: path.clone(), ino: *ino, base: *base, consumed };
                newest.insert((log, *ino), segment);
            }
        }
        for ((log, _), segment) in &newest {
            if let Some(source) = self.logs.iter_mut().find(|source| source.escaped() == *log) {
                recover(source, segment, self.files.as_ref()).map_err(IngestError::layout(&segment.path))?;
            }
        }
        Ok(())
    }

    fn list_archive(&mut self, resume: &Resume, now: Timestamp) -> io::Result<Option<SegmentId>> {
        let mut newest = None;
        for dir in self.layout.archive_days(self.files.as_ref())? {
            // The end of its day is the latest moment a segment can have been archived: it is kept too long rather than
            // too short.
            let day = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let text = format!("{}-{}-{}T00:00:00Z", &day[..4], &day[4..6], &day[6..]);
            let since = Timestamp::parse(&text).map_or(now, |start| start.plus(DAY).min(now));
            for entry in self.files.list(&dir)? {
                let Some((id, _)) = parse_segment_name(&entry.name) else {
                    continue;
                };
                let path = dir.join(&entry.name);
                self.index.set(id, path.clone());
                newest = newest.max(Some(id));
                let consumed = resume.consumed.get(&id).copied().unwrap_or(entry.stat.len);
                self.shelf.archive(id, Archived { path, consumed, len: entry.stat.len, since });
            }
        }
        for entry in self.files.list(&self.layout.remnants)? {
            if let Some(id) = entry.name.to_str().and_then(|name| name.parse().ok()) {
                self.shelf.remnants.insert(id);
                newest = newest.max(Some(id));
            }
        }
        Ok(newest)
    }
}
