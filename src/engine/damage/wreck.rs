//! Doing damage: to one file or several, at places that a seed chooses.

use std::path::{Path, PathBuf};

use super::past::{Past, copy_dir};
use crate::env::{Files, OsFiles};

/// What is done to the files of a state.
pub struct Wreck {
    random: fastrand::Rng,
    /// What was done, for people.
    pub done: Vec<String>,
}

const ROOMS: [&str; 3] = ["view", "journal", "checkpoint"];

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

impl Wreck {
    pub fn random(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), done: Vec::new() }
    }

    /// Damages the state below `root`: one thing, or sometimes two.
    pub fn apply(&mut self, root: &Path, past: &Past) {
        let times = if self.random.u32(0..4) == 0 { 2 } else { 1 };
        for _ in 0..times {
            let room = ROOMS[self.random.usize(0..3)];
            let dir = root.join("state").join(room);
            if self.random.u32(0..8) == 0 {
                self.room(room, &dir, past);
            } else if let Some(path) = self.one_of(&files_of(&dir)) {
                self.file(path);
            }
        }
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.random.usize(0..of.len())])
    }

    fn room(&mut self, room: &str, dir: &Path, past: &Past) {
        let what = match self.random.u32(0..3) {
            0 => {
                let _ = std::fs::remove_dir_all(dir);
                "removed"
            }
            1 => {
                let older = self.one_of(&past.older).expect("every past has an older one");
                let _ = std::fs::remove_dir_all(dir);
                if older.path().join(room).exists() {
                    copy_dir(&older.path().join(room), dir);
                }
                "rolled back"
            }
            _ => {
                std::fs::create_dir_all(dir).unwrap();
                let junk: Vec<u8> = (0..500).map(|_| self.random.u8(..)).collect();
                std::fs::write(dir.join("snap.00000000000000FF.generating"), &junk).unwrap();
                std::fs::write(dir.join("next.tmp"), &junk).unwrap();
                "littered"
            }
        };
        self.done.push(format!("{room} {what}"));
    }

    fn file(&mut self, path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let end = path.to_string_lossy().contains("/journal/") && self.random.bool();
        let at = match bytes.len() {
            0 => 0,
            // Half of the damage to a journal is to its end: the last few records.
            len if end => self.random.usize(len.saturating_sub(600)..len),
            len => self.random.usize(0..len),
        };
        let what = match self.random.u32(0..10) {
            _ if bytes.is_empty() => "is empty anyway".to_owned(),
            0..4 => {
                let bit = self.random.u32(0..8);
                bytes[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} flipped")
            }
            4..6 => {
                bytes.truncate(at);
                format!("cut at {at}")
            }
            6 => {
                let end = bytes.len().min(at + self.random.usize(1..4096));
                bytes[at..end].fill(0);
                format!("{at}..{end} zeroed")
            }
            7 => {
                let end = bytes.len().min(at + self.random.usize(1..2000));
                bytes[at..end].iter_mut().for_each(|byte| *byte = self.random.u8(..));
                format!("{at}..{end} overwritten")
            }
            8 => {
                let pages = bytes.len() / 512;
                if pages > 1 {
                    let (from, to) = (512 * self.random.usize(0..pages), 512 * self.random.usize(0..pages));
                    bytes.copy_within(from..from + 512, to);
                    format!("page at {from} written over the one at {to}")
                } else {
                    bytes.extend_from_within(..);
                    "doubled".to_owned()
                }
            }
            _ => {
                OsFiles.unlink(path).unwrap();
                self.done.push(format!("{name} removed"));
                return;
            }
        };
        std::fs::write(path, bytes).unwrap();
        self.done.push(format!("{name} {what}"));
    }
}
