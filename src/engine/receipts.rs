//! Which requests with an `Idempotency-Key` were carried out: `receipts` in the state directory.
//!
//! ```text
//! begin KEY BODY TOKEN AT CRC     a request is about to be written as in/api-TOKEN.ndjson; durable before it is
//! done KEY CRC                    it was; durable before the answer
//! void KEY CRC                    nothing was written
//! ```
//!
//! KEY and BODY are SHA-256 in hex. A crash between `begin` and `done` leaves the question open, and the next start answers
//! it by looking for the file, before retention can have removed it. A line that a crash cut off was not relied upon.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::running::lock;
use crate::env::{self, AppendFile, Files};
use crate::ingest::SourceKind;
use crate::model::{SegmentId, Timestamp, hex, unhex};

/// How long a key stands for its request.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Lines beside those that are needed before the file is written anew.
const SPARE_LINES: usize = 8192;

/// A SHA-256.
pub type Hash = [u8; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Somebody writes right now.
    Writing,
    /// The write failed in a way that may have left its file.
    Unsure,
    /// Its file got its name, which may not be durable; it may have been read, and removed, since.
    There,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Receipt {
    body: Hash,
    token: SegmentId,
    at: Timestamp,
    progress: Progress,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Write it under this token, and tell how that went.
    Write(SegmentId),
    /// As `Write`, unless its file is in the spool: an earlier try may have put it there.
    WriteUnlessThere(SegmentId),
    /// It was written under this token, and only its name is not known to be durable.
    There(SegmentId),
    /// It was written under this token.
    Done(SegmentId),
    /// The key stands for another body.
    Differs,
    /// It is being written at this moment.
    Busy,
}

struct Book {
    receipts: HashMap<Hash, Receipt>,
    file: Option<Box<dyn AppendFile>>,
    lines: usize,
}

/// The receipts of one engine.
pub struct Receipts {
    files: Arc<dyn Files>,
    path: PathBuf,
    book: Mutex<Book>,
}

/// The name of a request's file in the spool, without its suffix.
pub fn stem(token: SegmentId) -> String {
    SourceKind::api_stem(token)
}

pub fn hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn sealed(words: String) -> String {
    let crc = crc32fast::hash(words.as_bytes());
    format!("{words} {crc:08x}\n")
}

fn begin_line(key: &Hash, receipt: &Receipt) -> String {
    sealed(format!("begin {} {} {} {}", hex(key), hex(&receipt.body), receipt.token, receipt.at.0))
}

fn end_line(word: &str, key: &Hash) -> String {
    sealed(format!("{word} {}", hex(key)))
}

/// Takes one line in; `None` when it does not read back.
fn take(receipts: &mut HashMap<Hash, Receipt>, line: &str) -> Option<()> {
    let (words, crc) = line.rsplit_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(words.as_bytes()) {
        return None;
    }
    let words: Vec<&str> = words.split(' ').collect();
    match *words.as_slice() {
        ["begin", key, body, token, at] => {
            let at = Timestamp(at.parse().ok()?);
            let receipt = Receipt { body: unhex(body)?, token: token.parse().ok()?, at, progress: Progress::Unsure };
            receipts.insert(unhex(key)?, receipt);
        }
        ["done", key] => {
            if let Some(receipt) = receipts.get_mut(&unhex(key)?) {
                receipt.progress = Progress::Done;
            }
        }
        ["void", key] => {
            receipts.remove(&unhex(key)?);
        }
        _ => return None,
    }
    Some(())
}

impl Receipts {
    /// Reads the file in `dir` and writes it anew without what is over. `written` tells whether a request's file is in the
    /// spool.
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        written: &dyn Fn(&str) -> io::Result<bool>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let path = dir.join("receipts");
        let fault = |what: &str, error: io::Error| format!("cannot {what} {}: {error}", path.display());
        let bytes = match files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(|error| fault("read", error))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut receipts = HashMap::new();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            // Without its end it was never relied upon.
            let Some(line) = line.strip_suffix('\n').filter(|line| !line.is_empty()) else { continue };
            take(&mut receipts, line).ok_or_else(|| {
                format!(
                    "line {} of {} is damaged: it keeps requests with an Idempotency-Key from being carried out twice. Move \
                     the file away to start without it; such a request of the last 24 hours is then written again when it \
                     is repeated",
                    at + 1,
                    path.display()
                )
            })?;
        }
        receipts.retain(|_, receipt| is_kept(receipt, now));
        let mut open = Vec::new();
        for (key, receipt) in receipts.iter_mut().filter(|(_, receipt)| receipt.progress == Progress::Unsure) {
            match written(&stem(receipt.token)).map_err(|error| fault("look for what is told in", error))? {
                true => receipt.progress = Progress::Done,
                false => open.push(*key),
            }
        }
        receipts.retain(|key, _| !open.contains(key));
        let book = Book { receipts, file: None, lines: 0 };
        let receipts = Self { path: path.clone(), files, book: Mutex::new(book) };
        if !bytes.is_empty() {
            receipts.rewrite(&mut lock(&receipts.book)).map_err(|error| fault("write", error))?;
        }
        Ok(receipts)
    }

    /// What to do with the request `key` of the body `body`; `fresh` names it if it is new.
    pub fn begin(&self, key: Hash, body: Hash, fresh: SegmentId, now: Timestamp) -> io::Result<Begin> {
        let mut book = lock(&self.book);
        match book.receipts.get_mut(&key) {
            Some(known) if is_kept(known, now) => {
                if known.body != body {
                    return Ok(Begin::Differs);
                }
                return Ok(match known.progress {
                    Progress::Done => Begin::Done(known.token),
                    Progress::Writing => Begin::Busy,
                    Progress::Unsure => {
                        known.progress = Progress::Writing;
                        Begin::WriteUnlessThere(known.token)
                    }
                    Progress::There => {
                        known.progress = Progress::Writing;
                        Begin::There(known.token)
                    }
                });
            }
            _ => {}
        }
        let receipt = Receipt { body, token: fresh, at: now, progress: Progress::Writing };
        self.append(&mut book, &begin_line(&key, &receipt), now)?;
        book.receipts.insert(key, receipt);
        Ok(Begin::Write(fresh))
    }

    /// The request was written: it never is again.
    pub fn done(&self, key: &Hash, now: Timestamp) -> io::Result<()> {
        let mut book = lock(&self.book);
        if let Some(receipt) = book.receipts.get_mut(key) {
            receipt.progress = Progress::Done;
        }
        self.append(&mut book, &end_line("done", key), now)
    }

    /// Nothing was written, surely.
    pub fn void(&self, key: &Hash, now: Timestamp) {
        let mut book = lock(&self.book);
        book.receipts.remove(key);
        // Should it get lost, the next start finds no file and comes to the same.
        let _ = self.append(&mut book, &end_line("void", key), now);
    }

    /// The write failed; its file may be there.
    pub fn unsure(&self, key: &Hash) {
        self.set(key, Progress::Unsure);
    }

    /// The file was written, and its name could not be made durable.
    pub fn there(&self, key: &Hash) {
        self.set(key, Progress::There);
    }

    fn set(&self, key: &Hash, progress: Progress) {
        if let Some(receipt) = lock(&self.book).receipts.get_mut(key) {
            receipt.progress = progress;
        }
    }

    fn append(&self, book: &mut Book, line: &str, now: Timestamp) -> io::Result<()> {
        if book.lines > 4 * book.receipts.len() + SPARE_LINES {
            book.receipts.retain(|_, receipt| is_kept(receipt, now));
            book.file = None;
        }
        if book.file.is_none() {
            self.rewrite(book)?;
        }
        let file = book.file.as_mut().expect("it was just opened");
        let written = file.append(line.as_bytes()).and_then(|()| file.sync_data());
        book.lines += 1;
        if written.is_err() {
            // What is in the file now nobody knows: it is written anew before the next line.
            book.file = None;
        }
        written
    }

    fn rewrite(&self, book: &mut Book) -> io::Result<()> {
        let mut text = String::new();
        for (key, receipt) in &book.receipts {
            text.push_str(&begin_line(key, receipt));
            if receipt.progress == Progress::Done {
                text.push_str(&end_line("done", key));
            }
        }
        env::replace(&*self.files, &self.path, text.as_bytes())?;
        book.lines = text.lines().count();
        book.file = Some(self.files.append_to(&self.path)?);
        Ok(())
    }
}

fn is_kept(receipt: &Receipt, now: Timestamp) -> bool {
    now.since(receipt.at) < KEPT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::OsFiles;

    const NOON: Timestamp = Timestamp(1_773_309_600_000);
    const DAY_MS: i64 = 24 * 3600 * 1000;

    fn open(dir: &Path, there: bool, now: Timestamp) -> Result<Receipts, String> {
        Receipts::open(Arc::new(OsFiles), dir, &|_| Ok(there), now)
    }

    #[test]
    fn a_key_stands_for_one_request_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let receipts = open(dir.path(), false, NOON).unwrap();
        let (key, body, token) = (hash(&[b"k"]), hash(&[b"b"]), SegmentId(7));
        assert_eq!(receipts.begin(key, body, token, NOON).unwrap(), Begin::Write(token));
        assert_eq!(receipts.begin(key, body, SegmentId(8), NOON).unwrap(), Begin::Busy);
        receipts.done(&key, NOON).unwrap();
        for receipts in [receipts, open(dir.path(), false, NOON).unwrap(), open(dir.path(), false, NOON).unwrap()] {
            assert_eq!(receipts.begin(key, body, SegmentId(8), NOON).unwrap(), Begin::Done(token));
            assert_eq!(receipts.begin(key, hash(&[b"c"]), SegmentId(8), NOON).unwrap(), Begin::Differs);
            receipts.void(&hash(&[b"other"]), NOON);
        }
        let later = Timestamp(NOON.0 + DAY_MS);
        let receipts = open(dir.path(), false, later).unwrap();
        assert_eq!(receipts.begin(key, body, SegmentId(9), later).unwrap(), Begin::Write(SegmentId(9)));
    }

    #[test]
    fn what_a_crash_left_open_is_told_by_the_spool() {
        for (there, wanted) in [(true, Begin::Done(SegmentId(7))), (false, Begin::Write(SegmentId(8)))] {
            let dir = tempfile::tempdir().unwrap();
            let (key, body) = (hash(&[b"k"]), hash(&[b"b"]));
            open(dir.path(), there, NOON).unwrap().begin(key, body, SegmentId(7), NOON).unwrap();
            let receipts = open(dir.path(), there, NOON).unwrap();
            assert_eq!(receipts.begin(key, body, SegmentId(8), NOON).unwrap(), wanted);
        }
    }

    #[test]
    fn a_failed_write_is_tried_again_under_its_token() {
        let dir = tempfile::tempdir().unwrap();
        let receipts = open(dir.path(), false, NOON).unwrap();
        let (key, body) = (hash(&[b"k"]), hash(&[b"b"]));
        receipts.begin(key, body, SegmentId(7), NOON).unwrap();
        receipts.unsure(&key);
        let again = receipts.begin(key, body, SegmentId(8), NOON).unwrap();
        assert_eq!(again, Begin::WriteUnlessThere(SegmentId(7)));
        receipts.void(&key, NOON);
        assert_eq!(receipts.begin(key, body, SegmentId(8), NOON).unwrap(), Begin::Write(SegmentId(8)));
    }

    #[test]
    fn a_torn_line_is_forgotten_and_a_damaged_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("receipts");
        let (key, body) = (hash(&[b"k"]), hash(&[b"b"]));
        let receipts = open(dir.path(), false, NOON).unwrap();
        receipts.begin(key, body, SegmentId(7), NOON).unwrap();
        receipts.done(&key, NOON).unwrap();
        drop(receipts);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();
        let receipts = open(dir.path(), false, NOON).unwrap();
        assert_eq!(receipts.begin(key, body, SegmentId(8), NOON).unwrap(), Begin::Done(SegmentId(7)));
        std::fs::write(&path, whole.replacen("begin", "bogin", 1)).unwrap();
        let error = open(dir.path(), false, NOON).err().unwrap();
        assert!(error.contains("line 1") && error.contains("Move"), "{error}");
    }
}
