//! Looking through the journal before anything of it is believed: which records follow each other without a gap, what is
//! damaged, and whether the end is only torn. Then making it end where a gap begins.
//!
//! Records are only ever replayed as a run without a gap. What stands behind a gap decided upon things that are no longer
//! known: it is put aside, and the engine decides again from the spool.

use std::io;
use std::path::{Path, PathBuf};

use super::frame::Item;
use super::journal::{self, BIRTH, Damage, JournalError, JournalFile, Listed};
use super::record::Record;
use super::tail;
use crate::env::Files;
use crate::model::Timestamp;

/// Whole commits that follow each other without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
    /// The file that holds its last frame, and the offset behind that.
    file: usize,
    end: u64,
}

/// What lies in the journal from some record on.
#[derive(Debug, Default)]
pub(super) struct Survey {
    files: Vec<Listed>,
    runs: Vec<Run>,
    /// Bytes that are no records, the torn end left out.
    pub damage: Vec<Damage>,
    /// The end is no whole commit and does not look torn: a commit that somebody acted upon may have stood there.
    pub is_tail_damaged: bool,
    /// When the state was made that the journal belongs to, by its newest file that says so.
    pub born: Option<Timestamp>,
    /// The greatest record number that anything in the files speaks of.
    pub seen: u64,
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { action, path: path.to_owned(), source }
}

/// A journal that ends where it can be believed.
pub(super) struct Ended {
    /// The file that commits may be appended to, and its length.
    pub current: Option<(PathBuf, u64)>,
    /// What was put aside.
    pub aside: Vec<PathBuf>,
}

/// Looks through the files that hold what follows record `after`.
pub(super) fn survey(files: &dyn Files, dir: &Path, after: u64) -> Result<Survey, JournalError> {
    let listed = journal::list(files, dir).map_err(io_error("list", dir))?;
    let skipped = listed.iter().rposition(|file| file.first_lsn <= after + 1).unwrap_or(0);
    let mut survey = Survey { files: listed[skipped..].to_vec(), ..Survey::default() };
    let mut walk = Walk::default();
    for index in 0..survey.files.len() {
        let Listed { first_lsn, path, .. } = survey.files[index].clone();
        survey.seen = survey.seen.max(first_lsn.saturating_sub(1));
        files.forget_cached(&path).map_err(io_error("make durable", &path))?;
        let file = JournalFile::read(files, path)?;
        survey.born = file.born().or(survey.born);
        walk.file(&mut survey, index, &file);
    }
    survey.seen = survey.seen.max(survey.runs.iter().map(|run| run.last).max().unwrap_or(0));
    Ok(survey)
}

/// Where a walk through the files stands.
#[derive(Default)]
struct Walk {
    /// First and last record of the commit that has begun and not ended.
    open: Option<(u64, u64)>,
}

impl Walk {
    fn file(&mut self, survey: &mut Survey, index: usize, file: &JournalFile) {
        let is_last = index + 1 == survey.files.len();
        let mut damage = Vec::new();
        let mut note = |start, end| damage.push(Damage { file: file.path.clone(), start, end });
        let mut committed = 0;
        if file.has_header() {
            committed = file.offset(0);
        } else if !(is_last && file.is_unwritten()) {
            note(0, file.offset(0));
        }
        for item in file.items() {
            match item {
                Item::Damage { start, end } => note(file.offset(start), file.offset(end)),
                Item::Frame(frame) if frame.lsn == BIRTH => committed = file.offset(frame.end()),
                Item::Frame(frame) => {
                    let (start, end) = (file.offset(frame.start), file.offset(frame.end()));
                    if self.is_repeat(survey, frame.lsn) {
                        note(start, end);
                    } else if self.take(survey, frame.lsn, frame.commit, (index, end)) {
                        committed = end;
                    }
                }
            }
        }
        if is_last {
            let next_lsn = survey.runs.last().map_or(survey.files[index].first_lsn, |run| run.last + 1);
            let offset = usize::try_from(committed).unwrap_or(usize::MAX);
            let begins = |lsn| tail::is_torn(file.from(committed), offset, lsn);
            let is_torn = match committed {
                0 => file.is_unwritten(),
                header if header == file.offset(0) => begins(BIRTH) || begins(next_lsn),
                _ => begins(next_lsn),
            };
            survey.is_tail_damaged = !is_torn;
            if is_torn {
                damage.retain(|damage| damage.start < committed);
            }
        }
        survey.damage.append(&mut damage);
    }

    /// A record that came before already: bytes of another place were written here.
    fn is_repeat(&self, survey: &Survey, lsn: u64) -> bool {
        let newest = self.open.map(|(_, last)| last).max(survey.runs.last().map(|run| run.last));
        newest.is_some_and(|newest| lsn <= newest)
    }

    /// Takes a record; whether a commit is whole with it.
    fn take(&mut self, survey: &mut Survey, lsn: u64, commit: bool, (file, end): (usize, u64)) -> bool {
        let first = match self.open.take() {
            Some((first, last)) if last + 1 == lsn => first,
            _ => lsn,
        };
        if !commit {
            self.open = Some((first, lsn));
            return false;
        }
        match survey.runs.last_mut() {
            Some(run) if run.last + 1 == first => *run = Run { last: lsn, file, end, ..*run },
            _ => survey.runs.push(Run { first, last: lsn, file, end }),
        }
        true
    }
}

impl Survey {
    /// The last record that can be reached from `base` without a gap.
    pub(super) fn reach(&self, base: u64) -> u64 {
        let run = self.runs.iter().find(|run| run.first <= base + 1 && base < run.last);
        run.map_or(base, |run| run.last)
    }

    /// Makes the journal end with record `end`. What stands behind it is kept under another name; a torn end is cut off.
    pub(super) fn cut(&self, files: &dyn Files, dir: &Path, end: u64, now: Timestamp) -> Result<Ended, JournalError> {
        let kept = self.runs.iter().rev().find(|run| run.last <= end);
        let is_torn_only = !self.is_tail_damaged && self.runs.last().is_none_or(|run| run.last <= end);
        let mut aside = Vec::new();
        let first_dropped = kept.map_or(0, |run| run.file + 1);
        for (index, file) in self.files.iter().enumerate().skip(first_dropped).rev() {
            if is_torn_only && index + 1 == self.files.len() {
                files.unlink(&file.path).map_err(io_error("remove the unfinished", &file.path))?;
            } else {
                aside.push(put_aside(files, &file.path, now)?);
            }
        }
        let mut current = None;
        if let Some(run) = kept {
            let file = &self.files[run.file];
            if file.len > run.end {
                let is_last = run.file + 1 == self.files.len();
                if !(is_torn_only && is_last) {
                    aside.push(copy_aside(files, &file.path, now)?);
                }
                files.truncate(&file.path, run.end).map_err(io_error("cut the end of", &file.path))?;
            }
            current = (run.last == end).then(|| (file.path.clone(), run.end));
        }
        if !self.files.is_empty() {
            files.sync_dir(dir).map_err(io_error("sync", dir))?;
        }
        Ok(Ended { current, aside })
    }
}

fn put_aside(files: &dyn Files, path: &Path, now: Timestamp) -> Result<PathBuf, JournalError> {
    super::aside::rename(files, path, now).map_err(io_error("move out of the way", path))
}

fn copy_aside(files: &dyn Files, path: &Path, now: Timestamp) -> Result<PathBuf, JournalError> {
    super::aside::copy(files, path, now).map_err(io_error("copy", path))
}

/// Hands the records after `after` up to `end` to `each`, in order. [`Survey::reach`] has said that they are there.
pub(super) fn replay(
    files: &dyn Files,
    dir: &Path,
    after: u64,
    end: u64,
    mut each: impl FnMut(u64, Record),
) -> Result<(), JournalError> {
    let listed = journal::list(files, dir).map_err(io_error("list", dir))?;
    let skipped = listed.iter().rposition(|file| file.first_lsn <= after + 1).unwrap_or(0);
    let mut next = after + 1;
    for Listed { path, .. } in listed.into_iter().skip(skipped) {
        if next > end {
            break;
        }
        let file = JournalFile::read(files, path)?;
        for item in file.items() {
            if let Item::Frame(frame) = item
                && frame.lsn == next
                && next <= end
            {
                each(next, file.decode(&frame)?);
                next += 1;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::journal::{Journal, Resume};
    use super::super::marks::Marks;
    use super::*;
    use crate::env::OsFiles;

    const NOW: Timestamp = Timestamp(1_773_309_600_000);

    fn record(at: u64) -> Record {
        Record::Started { at: Timestamp(i64::try_from(at).unwrap()), barrier: None }
    }

    /// What opening does: ends the journal where it can be believed, and reads it.
    fn open(dir: &Path) -> (Journal, Survey, Vec<u64>) {
        let found = survey(&OsFiles, dir, 0).unwrap();
        let end = found.reach(0);
        let Ended { current, .. } = found.cut(&OsFiles, dir, end, NOW).unwrap();
        let mut read = Vec::new();
        replay(&OsFiles, dir, 0, end, |lsn, said| {
            assert_eq!(said, record(lsn));
            read.push(lsn);
        })
        .unwrap();
        let (marks, _) = Marks::open(&OsFiles, &dir.join("marks"));
        let resume = Resume { current, next_lsn: end + 1, born: NOW, marks };
        (Journal::open(Arc::new(OsFiles), dir, resume, 16 << 20).unwrap(), found, read)
    }

    /// Writes commits of so many records each; the length of the file before each and at the end.
    fn write(dir: &Path, commits: &[u64]) -> Vec<usize> {
        let (mut journal, ..) = open(dir);
        let mut next = 1;
        let mut lens = Vec::new();
        for count in commits {
            lens.extend(std::fs::metadata(only_file(dir)).map(|data| usize::try_from(data.len()).unwrap()));
            let records: Vec<_> = (next..next + count).map(record).collect();
            journal.commit(&records).unwrap();
            next += count;
        }
        lens.push(std::fs::read(only_file(dir)).unwrap().len());
        lens
    }

    fn only_file(dir: &Path) -> PathBuf {
        dir.join("00000000000000000001.journal")
    }

    #[test]
    fn commits_are_read_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[2, 1]);
        let (_, found, read) = open(dir.path());
        assert_eq!((read, found.seen, found.born), (vec![1, 2, 3], 3, Some(NOW)));
        assert!(!found.is_tail_damaged && found.damage.is_empty());
    }

    #[test]
    fn an_unfinished_commit_never_happened_wherever_it_was_cut() {
        let dir = tempfile::tempdir().unwrap();
        let lens = write(dir.path(), &[1, 3]);
        let bytes = std::fs::read(only_file(dir.path())).unwrap();
        for cut in 0..bytes.len() {
            for zeros in [0, 4096] {
                // Zeros begin at a sector; where they would not, nothing like it is ever found on disk.
                let mut torn = bytes[..cut].to_vec();
                if zeros > 0 && cut % 512 == 0 {
                    torn.resize(cut + zeros, 0);
                }
                std::fs::write(only_file(dir.path()), &torn).unwrap();
                let expected: &[u64] = if cut >= lens[0] { &[1] } else { &[] };
                let (mut journal, found, read) = open(dir.path());
                assert_eq!(read, expected, "cut at {cut}");
                assert!(!found.is_tail_damaged && found.damage.is_empty(), "cut at {cut}");
                let next = read.len() as u64 + 1;
                journal.commit(&[record(next)]).unwrap();
                assert_eq!(open(dir.path()).2.len() as u64, next, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_keeps_whole_commits_before_it_and_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let commits = [1, 3, 2, 1];
        let lens = write(dir.path(), &commits);
        let whole = std::fs::read(only_file(dir.path())).unwrap();
        let ends = [0, 1, 4, 6, 7];
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(only_file(dir.path()), &bytes).unwrap();
                let (_, found, read) = open(dir.path());
                let before = lens.iter().filter(|len| **len <= at).count();
                let kept = read.len() as u64;
                assert!(kept >= ends[before.min(4)], "bit {bit} of byte {at}: only {kept} are left");
                assert!(ends.contains(&kept), "bit {bit} of byte {at}: half a commit, {kept} records");
                let is_noticed = found.is_tail_damaged || found.seen > kept;
                assert!(kept == 7 || is_noticed, "bit {bit} of byte {at}: {kept} records and no word");
                let aside: Vec<_> =
                    std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path()).collect();
                let copies: Vec<_> = aside.iter().filter(|path| path.to_string_lossy().contains(".damaged-")).collect();
                assert_eq!(copies.is_empty(), kept == 7, "bit {bit} of byte {at}: what was cut off is kept");
                let newest = JournalFile::newest(&OsFiles, dir.path());
                assert!(newest.is_none_or(|path| path == only_file(dir.path())), "what was kept is no journal file");
                copies.into_iter().for_each(|path| OsFiles.unlink(path).unwrap());
            }
        }
    }

    #[test]
    fn room_that_was_held_behind_a_file_is_given_back_when_it_is_finished() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let (marks, _) = Marks::open(&OsFiles, &dir.path().join("marks"));
        let resume = Resume { current: None, next_lsn: 1, born: NOW, marks };
        let mut journal = Journal::open(Arc::new(OsFiles), dir.path(), resume, 100).unwrap();
        journal.commit(&[record(1)]).unwrap();
        let blocks = || std::fs::metadata(only_file(dir.path())).unwrap().blocks();
        if OsFiles.hold_room(&only_file(dir.path()), 1 << 20).is_err() {
            return;
        }
        let held = blocks();
        assert!(held >= 2048, "{held}");
        for at in 2..=20 {
            journal.commit(&[record(at)]).unwrap();
        }
        assert_ne!(JournalFile::newest(&OsFiles, dir.path()), Some(only_file(dir.path())));
        assert!(blocks() < held / 2, "{} of {held} blocks are still held", blocks());
        assert_eq!(open(dir.path()).2, (1..=20).collect::<Vec<u64>>());
    }

    #[test]
    fn records_end_where_one_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let lens = write(dir.path(), &[1, 1, 1]);
        let mut bytes = std::fs::read(only_file(dir.path())).unwrap();
        bytes.drain(lens[0]..lens[1]);
        std::fs::write(only_file(dir.path()), &bytes).unwrap();
        let found = survey(&OsFiles, dir.path(), 0).unwrap();
        assert_eq!((found.reach(0), found.reach(1), found.reach(2), found.seen), (1, 1, 3, 3));
        assert_eq!(open(dir.path()).2, [1]);
    }

    #[test]
    fn files_go_by_size_and_age_and_only_behind_a_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let (marks, _) = Marks::open(&OsFiles, &dir.path().join("marks"));
        let resume = Resume { current: None, next_lsn: 1, born: NOW, marks };
        let mut journal = Journal::open(Arc::new(OsFiles), dir.path(), resume, 100).unwrap();
        for at in 1..=40 {
            journal.commit(&[record(at)]).unwrap();
        }
        let listed = || journal::list(&OsFiles, dir.path()).unwrap();
        let (all, first_kept) = (listed().len(), listed()[3].first_lsn);
        assert!(all > 5);
        let long_ago = Timestamp(0);
        assert_eq!(journal.prune(0, 0, Timestamp(i64::MAX)).unwrap(), 0, "no checkpoint holds any of it");
        assert_eq!(journal.prune(40, u64::MAX, long_ago).unwrap(), 0, "neither too old nor too much");
        assert_eq!(journal.prune(first_kept - 1, 0, long_ago).unwrap(), 3);
        assert_eq!(journal.prune(40, u64::MAX, Timestamp(i64::MAX)).unwrap(), all - 4, "the file in use stays");
        assert_eq!(survey(&OsFiles, dir.path(), 40).unwrap().seen, 40);
    }
}
