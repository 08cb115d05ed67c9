//! A producer that stays: it keeps its file open between events, and lets it go when the engine has claimed it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::env::{AppendFile, Clock, Files, OsFiles, SystemClock};
use crate::ingest::{self, ProduceError, as_line};

/// Lines longer than this are refused, as the engine does unless it is told otherwise (`[spool] max_line`).
const MAX_LINE: usize = 1 << 20;
/// A file is kept open for as many bytes at most, and for so long: one that is held keeps its place on the disk.
const ROTATE_BYTES: u64 = 64 << 20;
const ROTATE_AGE: Duration = Duration::from_secs(600);

/// Appends events to `in/NAME.ndjson` of a spool, each with one write(2), so that several processes may share a name.
///
/// It looks before every event whether the file is still the one in `in/`, and opens a new one when the engine has taken it,
/// and after 64 MiB or ten minutes. What was written to a file that is taken at the same moment is read all the same.
/// Call [`close`](Self::close) before a long pause: a file that somebody holds open is not finished.
pub struct Producer {
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    spool: PathBuf,
    path: PathBuf,
    max_line: usize,
    is_durable: bool,
    open: Option<Open>,
}

struct Open {
    file: Box<dyn AppendFile>,
    /// Device and inode of the file that its name stood for when it was opened.
    identity: (u64, u64),
    since: Duration,
    bytes: u64,
    /// Whether its name is known to be durable.
    is_named: bool,
}

impl Producer {
    /// For the spool at `spool`, which an engine, or `spoolhook init`, has made.
    pub fn open(spool: impl AsRef<Path>) -> Result<Self, ProduceError> {
        Self::with(Arc::new(OsFiles), Arc::new(SystemClock::new()), spool.as_ref())
    }

    fn with(files: Arc<dyn Files>, clock: Arc<dyn Clock>, spool: &Path) -> Result<Self, ProduceError> {
        let inbox = spool.join("in");
        files.stat(&inbox).map_err(|source| ProduceError::Io { path: inbox.clone(), source })?;
        let path = inbox.join("producer.ndjson");
        let spool = spool.to_owned();
        Ok(Self { files, clock, spool, path, max_line: MAX_LINE, is_durable: false, open: None })
    }

    /// Writes to `in/<name>.ndjson`; `producer` if this is not called. Events of one name are read in the order they were
    /// written.
    pub fn named(mut self, name: &str) -> Result<Self, ProduceError> {
        self.path = self.spool.join("in").join(ingest::file_name(name)?);
        self.open = None;
        Ok(self)
    }

    /// Whether an event must survive a power cut before `append` returns.
    #[must_use]
    pub fn fsync(mut self, is_durable: bool) -> Self {
        self.is_durable = is_durable;
        self
    }

    /// Refuses lines longer than this many bytes: what the engine's `[spool] max_line` says.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Appends one event, given as the JSON object of one line; it is judged as the engine will.
    ///
    /// A line feed goes before it as well as after it, so that a torn line of somebody else cannot take it along.
    pub fn append(&mut self, event: impl AsRef<[u8]>) -> Result<(), ProduceError> {
        let line = as_line(event.as_ref(), self.max_line)?;
        self.heed_backpressure()?;
        let written = self.write(&[b"\n", line.as_slice(), b"\n"].concat());
        written.map_err(|source| {
            // What is in the file now, the next event begins behind.
            self.open = None;
            ProduceError::Io { path: self.path.clone(), source }
        })
    }

    /// Writes `events` as a finished file `in/<name>.ndjson` of its own: all of them appear at once. The name must be new.
    pub fn drop_file(&self, name: &str, events: &[&[u8]]) -> Result<PathBuf, ProduceError> {
        self.finished().drop_finished(name, events, self.is_durable)
    }

    /// Lets the file go, so that the engine can finish with it. The next event opens one again.
    pub fn close(&mut self) {
        self.open = None;
    }

    fn finished(&self) -> ingest::Producer {
        ingest::Producer::new(Arc::clone(&self.files), &self.spool, self.max_line)
    }

    fn heed_backpressure(&self) -> Result<(), ProduceError> {
        self.finished().heed_backpressure()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let now = self.clock.monotonic();
        let named = self.files.stat(&self.path).ok().map(|stat| (stat.dev, stat.ino));
        let is_current = |open: &Open| {
            Some(open.identity) == named && open.bytes < ROTATE_BYTES && now.saturating_sub(open.since) < ROTATE_AGE
        };
        let mut open = match self.open.take().filter(is_current) {
            Some(open) => open,
            None => self.reopen(now)?,
        };
        open.file.append_once(bytes)?;
        open.bytes += bytes.len() as u64;
        if self.is_durable {
            open.file.sync_data()?;
            if !open.is_named {
                self.files.sync_dir(self.path.parent().unwrap_or(&self.spool))?;
                open.is_named = true;
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn reopen(&self, now: Duration) -> io::Result<Open> {
        let file = loop {
            match self.files.append_to(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => break other?,
            }
            // Another producer may create it, or the engine claim it, between the two calls.
            match self.files.create_for_group(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => break other?,
            }
        };
        // Claimed already: then the next event finds another file, or none, under the name.
        let identity = self.files.stat(&self.path).map_or((0, 0), |stat| (stat.dev, stat.ino));
        Ok(Open { file, identity, since: now, bytes: 0, is_named: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["in", "tmp", "claimed"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        dir
    }

    fn event(n: u32) -> String {
        format!("{{\"type\":\"a.b\",\"data\":{n}}}")
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it plays the engine, which claims by renaming")]
    fn a_claimed_file_is_left_for_a_new_one() {
        let dir = spool();
        let (place, claimed) = (dir.path().join("in/app.ndjson"), dir.path().join("claimed/x"));
        let mut producer = Producer::open(dir.path()).unwrap().named("app").unwrap().fsync(true);
        producer.append(event(1)).unwrap();
        producer.append(event(2)).unwrap();
        std::fs::rename(&place, &claimed).unwrap();
        producer.append(event(3)).unwrap();
        assert_eq!(std::fs::read_to_string(&claimed).unwrap(), format!("\n{}\n\n{}\n", event(1), event(2)));
        assert_eq!(std::fs::read_to_string(&place).unwrap(), format!("\n{}\n", event(3)));
        producer.close();
        producer.append(event(4)).unwrap();
        assert!(std::fs::read_to_string(&place).unwrap().ends_with(&format!("{}\n", event(4))));
    }

    #[test]
    fn several_writers_share_a_name() {
        let dir = spool();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let spool = dir.path();
                scope.spawn(move || {
                    let mut producer = Producer::open(spool).unwrap();
                    (0..200).for_each(|n| producer.append(event(writer * 1000 + n)).unwrap());
                });
            }
        });
        let text = std::fs::read_to_string(dir.path().join("in/producer.ndjson")).unwrap();
        let mut lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 800);
        assert!(lines.iter().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn errors_say_whether_to_try_again() {
        let dir = spool();
        assert!(Producer::open(dir.path().join("none")).is_err());
        let mut producer = Producer::open(dir.path()).unwrap().max_line(60);
        let never = |error: ProduceError| error.retry_after().is_none();
        assert!(never(producer.append("{}").unwrap_err()));
        assert!(never(producer.append(format!("{{\"type\":\"a.b\",\"data\":\"{}\"}}", "x".repeat(60))).unwrap_err()));
        std::fs::write(dir.path().join("BACKPRESSURE"), "").unwrap();
        let error = producer.append(event(1)).unwrap_err();
        assert!(error.retry_after().is_some() && matches!(error, ProduceError::Backpressure { .. }));
        assert!(Producer::open(dir.path()).unwrap().named("../x").is_err());
    }
}
