//! Opening the state: which of view, checkpoints and journal can be believed, and what is made of the rest.
//!
//! ```text
//!   base     = the view, or a checkpoint, or nothing: whichever reaches furthest along the journal without a gap
//!   state    = base + the journal's records behind it, up to the first gap
//!   evidence = the greatest record number that view, rows, checkpoints, journal or marks speak of
//!   evidence behind the reach, or a damaged end of the journal: records are lost
//! ```
//!
//! What the lost records decided is decided again. That repeats at-least-once deliveries; for at-most-once deliveries it
//! would break the promise, so the engine is told that claims are forgotten. `<state>/recovering` says so durably until
//! the engine's answer to it is in the journal, whatever happens in between.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base::{Base, Loaded, agree, load};
use super::checkpoint::{self, Checkpoint};
use super::journal::{Journal, Resume};
use super::ledger::Ledger;
use super::marks::Marks;
use super::reconcile::follow_rows;
use super::state::{Limits, Opened, StateError, note};
use super::survey::{Ended, Survey, replay, survey};
use super::tree::Trees;
use super::view::{Dirty, View};
use super::{aside, recovering};
use crate::env::Files;
use crate::model::Timestamp;

/// Changed rows that are read from the journal before they go to the view.
const CHANGES_MAX: usize = 1_024;

/// The parts of an open state.
pub(super) struct Parts {
    pub journal: Journal,
    pub view: View,
    pub ledger: Ledger,
    pub dirty: Dirty,
    pub born: Timestamp,
}

/// Opens the state in `dir`.
pub(super) fn open(
    files: &Arc<dyn Files>,
    trees: &dyn Trees,
    limits: Limits,
    dir: &Path,
    now: Timestamp,
) -> Result<(Parts, Opened), StateError> {
    let (fs, places) = (&**files, Places::of(dir));
    let is_view_missing = matches!(fs.stat(&places.view), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let opened = Opened::default();
    let mut opening =
        Opening { fs, trees, places: &places, now, opened, strangers: false, is_view_missing, begun: None };
    let owed = recovering::read(fs, dir).map_err(|source| StateError::io("read the notice in", dir, source))?;
    let (mut marks, marked) = Marks::open(fs, &places.marks);
    let mut bases = Vec::new();
    let mut fault = None;
    match load(trees, fs, &places.view) {
        Ok(Loaded::Known(view)) => bases.push(view),
        Ok(Loaded::Begun(view)) => opening.begun = Some(view),
        Err(error) if error.is_refusal() => return Err(error.into()),
        Err(error) => fault = Some(error.to_string()),
    }
    let named = checkpoint::list(fs, &places.checkpoints)
        .map_err(|source| StateError::io("list the checkpoints in", &places.checkpoints, source))?;
    let newest_named = named.last().map_or(0, |(lsn, _)| *lsn);

    let mut seen = survey(fs, &places.journal, bases.first().map_or(0, Base::lsn))?;
    let sound = bases.first().is_some_and(|view| {
        let reach = seen.reach(view.lsn());
        let known = [seen.seen, marked, newest_named, view.rows_lsn()];
        let is_all = known.iter().all(|lsn| *lsn <= reach) && seen.seen >= view.lsn();
        is_all && !seen.is_tail_damaged && agree(view.born(), seen.born)
    });
    if !sound {
        bases.extend(opening.checkpoints(&named, seen.born)?);
        fault = opening.without_strangers(&mut bases, seen.born)?.or(fault);
        let from = bases.iter().map(Base::lsn).min().unwrap_or(0);
        seen = survey(fs, &places.journal, from)?;
    }
    bases.sort_by_key(|base| base.rank(&seen));
    let known = bases.iter().map(Base::rows_lsn).chain([seen.seen, marked]).max().unwrap_or(0);
    let known = if opening.strangers { known } else { known.max(newest_named) };
    let base = bases.pop().unwrap_or(Base::Nothing);
    let end = seen.reach(base.lsn());
    let lost = known.saturating_sub(end);
    let born = seen.born.or(base.born()).unwrap_or(now);
    let is_behind = seen.seen < base.lsn();
    opening.opened.lost = lost;
    opening.opened.fresh = end == 0 && known == 0 && fault.is_none() && !seen.is_tail_damaged && named.is_empty();
    opening.opened.forgot = lost > 0 || is_behind || seen.is_tail_damaged || end == 0 || opening.strangers;
    opening.tell_losses(&seen, &base, end, known);
    let was_restored = owed.as_ref().is_some_and(|owed| owed.is_restore);
    if let Some(owed) = owed {
        let is_well = !opening.opened.forgot && opening.opened.notices.is_empty() && fault.is_none();
        opening.opened.is_restored = owed.is_restore && is_well;
        opening.opened.forgot = true;
        if !owed.is_restore {
            opening.say(
                "a recovery that was begun before (by a start that was cut short, or by `audit`) goes on".to_owned(),
            );
        }
        owed.text.lines().filter(|line| !line.is_empty()).for_each(|line| opening.say_once(line));
    }
    if opening.opened.forgot && !opening.opened.fresh {
        let text = opening.opened.notices.join("\n");
        // What is found in a restored state is no longer what was restored, for a start after this one, too.
        let is_news = was_restored && !opening.opened.is_restored;
        let write = if is_news { recovering::rewrite } else { recovering::write };
        write(fs, dir, &text).map_err(|source| StateError::io("write the notice in", dir, source))?;
        marks.clear(fs).map_err(|source| StateError::io("remove the marks in", &places.marks, source))?;
        opening.put_checkpoints_aside(&named, end)?;
    }
    let Ended { current, aside } = seen.cut(fs, &places.journal, end, now)?;
    opening.tell_aside(&aside);

    drop(bases);
    let (view, ledger, dirty) = opening.build(base, fault, end, &named, born)?;
    let resume = Resume { current, next_lsn: end + 1, born, marks };
    let journal = Journal::open(files.clone(), &places.journal, resume, limits.journal_file_bytes)?;
    Ok((Parts { journal, view, ledger, dirty, born }, opening.opened))
}

/// Where things lie.
struct Places {
    view: PathBuf,
    journal: PathBuf,
    checkpoints: PathBuf,
    marks: PathBuf,
}

impl Places {
    fn of(dir: &Path) -> Self {
        let [view, journal, checkpoints, marks] = ["view", "journal", "checkpoint", "marks"].map(|name| dir.join(name));
        Self { view, journal, checkpoints, marks }
    }
}

/// An opening under way.
struct Opening<'a> {
    fs: &'a dyn Files,
    trees: &'a dyn Trees,
    places: &'a Places,
    now: Timestamp,
    opened: Opened,
    /// Something of another state lay here.
    strangers: bool,
    /// There was not even a directory for the view.
    is_view_missing: bool,
    /// The open view, if nothing is in it to build upon.
    begun: Option<View>,
}

impl Opening<'_> {
    fn say(&mut self, sentence: String) {
        self.opened.notices.push(sentence);
    }

    fn say_once(&mut self, sentence: &str) {
        if !self.opened.notices.iter().any(|said| said == sentence) {
            self.say(sentence.to_owned());
        }
    }

    /// Takes out what belongs to another state than the journal. Returns what is wrong with the view, if it is the view.
    fn without_strangers(
        &mut self,
        bases: &mut Vec<Base>,
        journal: Option<Timestamp>,
    ) -> Result<Option<String>, StateError> {
        let view = bases.iter().find(|base| matches!(base, Base::View { .. })).and_then(Base::born);
        let Some(ours) = journal.or(view) else { return Ok(None) };
        let is_ours = |base: &Base| agree(base.born(), Some(ours));
        if bases.len() > 1 && !bases.iter().any(is_ours) {
            let theirs = bases.iter().find_map(Base::born).unwrap_or(ours);
            return Err(StateError::Mixed { dir: self.places.journal.clone(), ours, theirs });
        }
        let mut fault = None;
        for base in bases.extract_if(.., |base| !is_ours(base)) {
            self.strangers = true;
            let theirs = base.born().unwrap_or_default();
            match base {
                Base::Checkpoint(checkpoint) => {
                    let aside = self.put_aside(&checkpoint.path)?;
                    self.say(format!(
                        "a checkpoint belongs to a state that was made at {theirs}, the journal to one made at {ours}; it \
                         is now {}",
                        aside.display()
                    ));
                }
                _ => {
                    fault = Some(format!(
                        "it belongs to a state that was made at {theirs}, the journal to one made at {ours}"
                    ))
                }
            }
        }
        Ok(fault)
    }

    fn put_aside(&self, path: &Path) -> Result<PathBuf, StateError> {
        aside::rename(self.fs, path, self.now)
            .map_err(|source| StateError::io("move out of the way the damaged", path, source))
    }

    /// Checkpoints that speak of records which are about to be written anew.
    fn put_checkpoints_aside(&mut self, named: &[(u64, PathBuf)], end: u64) -> Result<(), StateError> {
        for (_, path) in named.iter().filter(|(lsn, _)| *lsn > end) {
            match self.put_aside(path) {
                Err(StateError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    fn tell_losses(&mut self, seen: &Survey, base: &Base, end: u64, known: u64) {
        for damage in &seen.damage {
            let (file, start, end) = (damage.file.display(), damage.start, damage.end);
            self.say(format!("bytes {start} to {end} of {file} are damaged"));
        }
        if self.opened.fresh {
            return;
        }
        if !self.opened.forgot {
            if !seen.damage.is_empty() {
                self.say(
                    "nothing that waits and no count is touched by this damage: it lies before what the view reflects. What \
                     stood there of past attempts cannot be shown any more, and `audit` names the gap until the history of \
                     that time is pruned. Nothing is to be done"
                        .to_owned(),
                );
            }
            return;
        }
        let from = match base {
            Base::View { .. } => "the view",
            Base::Checkpoint(_) => "a checkpoint",
            Base::Nothing => "nothing",
        };
        let missing = match known.saturating_sub(end) {
            0 if seen.is_tail_damaged => "the end of the journal is damaged".to_owned(),
            0 if seen.seen < end => format!(
                "the journal ends with record {}, {from} reflects {end}: its end is gone, or an older copy was put back",
                seen.seen
            ),
            0 if self.strangers => "view or checkpoint belonged to another state".to_owned(),
            0 => "no record of the journal can be used".to_owned(),
            _ => format!("records {} to {known} of the journal are missing or cannot be used", end + 1),
        };
        self.say(format!(
            "{missing}: the state is rebuilt from {from} and the records up to {end}, and what was decided after them is \
             decided again. At-least-once deliveries may be repeated; at-most-once deliveries that waited in the spool \
             become unknown and are not sent. If a newer copy of the state directory exists, stop the engine and restore \
             it; otherwise nothing is to be done but to look at the unknown ones (`spoolhook deliveries list --status \
             unknown`)"
        ));
    }

    fn tell_aside(&mut self, paths: &[PathBuf]) {
        if !paths.is_empty() {
            let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            self.say(format!(
                "the damaged part of the journal was kept as {}; remove it when nobody needs it",
                names.join(", ")
            ));
        }
    }

    /// The checkpoints that can be read, down to the newest that is ours.
    fn checkpoints(&mut self, named: &[(u64, PathBuf)], ours: Option<Timestamp>) -> Result<Vec<Base>, StateError> {
        let mut found = Vec::new();
        for (lsn, path) in named.iter().rev() {
            match checkpoint::read(self.fs, *lsn, path)? {
                None => self.say(format!("the checkpoint {} is damaged", path.display())),
                Some(checkpoint) => {
                    let is_ours = agree(checkpoint.born(), ours);
                    found.push(Base::Checkpoint(checkpoint));
                    if is_ours {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Makes view and ledger from `base` and the journal up to `end`. A view whose rows do not fit the ledger is made anew
    /// from a checkpoint or from the whole journal, if one of them reaches as far.
    fn build(
        &mut self,
        base: Base,
        fault: Option<String>,
        end: u64,
        named: &[(u64, PathBuf)],
        born: Timestamp,
    ) -> Result<(View, Ledger, Dirty), StateError> {
        let is_view = matches!(base, Base::View { .. });
        let wrong = match self.build_from(base, fault, end) {
            Err(StateError::View(error)) if is_view && !error.is_refusal() => error,
            Err(error) => return Err(error),
            Ok((view, ledger, dirty)) => match view.check(&ledger) {
                Ok(()) => return Ok((view, ledger, dirty)),
                Err(error) if !is_view => {
                    self.opened.is_restored = false;
                    self.say(format!("the view does not fit the journal ({error}); `spoolhook audit` tells where"));
                    return Ok((view, ledger, dirty));
                }
                Err(error) => error,
            },
        };
        let named: Vec<_> = named.iter().filter(|(lsn, _)| *lsn <= end).cloned().collect();
        let is_ours = |base: &Base| agree(base.born(), Some(born));
        let other = self.checkpoints(&named, Some(born))?.pop().filter(is_ours).unwrap_or(Base::Nothing);
        let reach = survey(self.fs, &self.places.journal, other.lsn())?.reach(other.lsn());
        if reach == end {
            return self.build_from(other, Some(wrong.to_string()), end);
        }
        let Loaded::Known(base) = load(self.trees, self.fs, &self.places.view)? else { return Err(wrong.into()) };
        let (view, mut ledger, mut dirty) = self.build_from(base, None, end)?;
        follow_rows(&view, &mut ledger, &mut dirty)?;
        self.say(format!("the view's rows are ahead of the journal ({wrong}); the books follow the rows"));
        (self.opened.forgot, self.opened.is_restored) = (true, false);
        Ok((view, ledger, dirty))
    }

    fn build_from(&mut self, base: Base, fault: Option<String>, end: u64) -> Result<(View, Ledger, Dirty), StateError> {
        let lsn = base.lsn();
        let (view, mut ledger) = match base {
            Base::View { view, ledger, .. } => (view, *ledger),
            Base::Checkpoint(checkpoint) => self.new_view(fault, Some(checkpoint))?,
            Base::Nothing => self.new_view(fault, None)?,
        };
        let mut dirty = Dirty::default();
        let mut changes = Vec::new();
        let mut failed = None;
        let mut replayed = 0;
        replay(self.fs, &self.places.journal, lsn, end, |lsn, record| {
            replayed += 1;
            changes.extend(note(&mut ledger, &mut dirty, lsn, &record));
            if changes.len() >= CHANGES_MAX {
                failed = failed.take().or_else(|| view.apply(&changes, lsn).err());
                changes.clear();
            }
        })?;
        self.opened.replayed = replayed;
        if let Some(error) = failed {
            return Err(error.into());
        }
        view.apply(&changes, ledger.lsn)?;
        Ok((view, ledger, dirty))
    }

    /// An empty view, or what a checkpoint holds. A view that is there gets another name; one that never got as far as its
    /// ledger is emptied.
    fn new_view(&mut self, fault: Option<String>, from: Option<Checkpoint>) -> Result<(View, Ledger), StateError> {
        let view = if let Some(view) = self.begun.take() {
            if self.opened.is_restored {
                self.say("there is no view in a backup: it was made from what is".to_owned());
            } else if !self.opened.fresh && (self.is_view_missing || from.is_some()) {
                self.say("there was no view; it was made anew".to_owned());
            }
            view
        } else {
            let aside = self.put_aside(&self.places.view)?;
            let reason = fault.unwrap_or_else(|| "it and the journal do not meet".to_owned());
            self.say(format!(
                "the view could not be used ({reason}); it was made anew, and the old one is now {}: remove it when nobody \
                 needs it",
                aside.display()
            ));
            self.opened.rebuilt = Some((aside, reason));
            self.opened.is_restored = false;
            View::open(self.trees, self.fs, &self.places.view)?
        };
        view.clear()?;
        if let Some(checkpoint) = from {
            view.restore(checkpoint.pairs)?;
        }
        let ledger = view.load_ledger()?.unwrap_or_else(Ledger::new);
        Ok((view, ledger))
    }
}
