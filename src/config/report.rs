//! What one load gathers while it walks the files: problems, and the files it read on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::codes;
use super::disk;
use super::document::{Place, whole_file};
use super::problems::{Problem, Problems, Spot};
use super::reader::Field;

/// What a load comes to.
pub(super) struct Verdict {
    pub(super) problems: Problems,
    pub(super) files: Vec<PathBuf>,
    pub(super) digests: BTreeMap<PathBuf, [u8; 32]>,
}

/// Where a problem stands in the list: file, then byte.
type Rank = (usize, usize);

/// Problems in the making. Asking for a value never stops at the first fault; the verdict comes at the end.
pub(super) struct Report<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    found: Vec<(Rank, Problem)>,
    /// Whoever reads it wrote JSON members, over the API, and has never seen the file.
    pub(super) in_json: bool,
    /// Lines with a syntax fault: whatever else seems wrong there is only its echo.
    broken_lines: BTreeSet<(usize, usize)>,
    pub(super) files: Vec<PathBuf>,
    /// SHA-256 of certificates and keys, so that a reload notices a new one under the old name.
    pub(super) digests: BTreeMap<PathBuf, [u8; 32]>,
}

impl<'e> Report<'e> {
    pub(super) fn new(env: &'e dyn Fn(&str) -> Option<String>) -> Self {
        let (found, broken_lines) = (Vec::new(), BTreeSet::new());
        Self { env, found, in_json: false, broken_lines, files: Vec::new(), digests: BTreeMap::new() }
    }

    /// A setting as its author would write it. `value` is the same in TOML and in JSON.
    pub(super) fn assign(&self, name: &str, value: &str) -> String {
        if self.in_json { format!("\"{name}\": {value}") } else { format!("{name} = {value}") }
    }

    /// Adds a problem at `place`; more can be said on what is returned. A code that begins with `W` warns.
    pub(super) fn problem(
        &mut self,
        code: &'static str,
        place: Place<'_>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> &mut Problem {
        self.push((place.doc.index, place.start), Problem::new(code, place.spot(label), message))
    }

    /// Adds the problem of a file that cannot be read at all.
    pub(super) fn file_problem(&mut self, path: &Path, message: impl Into<String>, label: impl Into<String>) {
        self.push((0, 0), Problem::new(codes::UNREADABLE, whole_file(path, label), message));
    }

    pub(super) fn syntax(&mut self, place: Place<'_>, problem: Problem) {
        if self.broken_lines.insert((place.doc.index, place.line())) {
            self.found.push(((place.doc.index, place.start), problem));
        }
    }

    fn push(&mut self, rank: Rank, problem: Problem) -> &mut Problem {
        self.found.push((rank, problem));
        &mut self.found.last_mut().expect("one was pushed just now").1
    }

    /// The variable's value, as the caller's lookup has it.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name)
    }

    /// Reads the file that `field` names, which is watched from now on.
    pub(super) fn read_file(&mut self, field: &Field<'_>) -> Option<(PathBuf, disk::Content)> {
        let path = field.path(self)?;
        self.files.push(path.clone());
        match disk::read(&path) {
            Ok(content) => Some((path, content)),
            Err(error) => {
                let message = format!("cannot read `{}`", field.name);
                self.problem(codes::UNREADABLE, field.at, message, disk::say(&error))
                    .help(format!("the file is looked for at {}", field.at.quote(&path.to_string_lossy())));
                None
            }
        }
    }

    /// Reads a file like [`Self::read_file`] and warns when everybody on the machine can do so.
    pub(super) fn read_secret_file(&mut self, field: &Field<'_>) -> Option<(PathBuf, disk::Content)> {
        let (path, content) = self.read_file(field)?;
        if content.world_readable {
            let message = format!("every user of this machine can read the file of `{}`", field.name);
            self.problem(codes::READABLE_BY_ALL, field.at, message, "readable by all")
                .help(format!("chmod o-rwx {}", path.display()));
        }
        Some((path, content))
    }

    /// Remembers what a file held.
    pub(super) fn remember(&mut self, path: &Path, bytes: &[u8]) {
        self.digests.insert(path.to_owned(), Sha256::digest(bytes).into());
    }

    /// Errors and warnings in the order of the files, echoes of syntax faults left out.
    pub(super) fn finish(mut self, file: &Path) -> Verdict {
        self.found.sort_by_key(|(rank, _)| *rank);
        let broken = self.broken_lines;
        let echo = |rank: Rank, spot: &Spot, code| {
            code != codes::SYNTAX && spot.line > 0 && broken.contains(&(rank.0, spot.line as usize - 1))
        };
        let kept = self.found.into_iter().filter(|(rank, problem)| !echo(*rank, &problem.at, problem.code));
        let (warnings, errors) = kept.map(|(_, problem)| problem).partition(is_warning);
        self.files.sort();
        self.files.dedup();
        let problems = Problems { file: file.to_owned(), errors, warnings };
        Verdict { problems, files: self.files, digests: self.digests }
    }
}

fn is_warning(problem: &Problem) -> bool {
    problem.code.starts_with('W')
}
