//! Wakes the tailer early. Only a hint: notifications get lost (queue overflow, network file systems), so the regular
//! look at the directories finds whatever happened without one.

use std::path::PathBuf;

use crossbeam_channel::Sender;
use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Watches directories as long as it lives.
pub struct Watch {
    _watcher: Option<RecommendedWatcher>,
    problems: Vec<String>,
}

impl Watch {
    /// Sends to `wake` when something happens in one of `dirs`. The channel should hold one message: a wake that finds
    /// it full is not lost, one is waiting already.
    pub fn start(dirs: &[PathBuf], wake: Sender<()>) -> Self {
        let handler = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, is_news) {
                let _ = wake.try_send(());
            }
        };
        let mut watcher = match notify::recommended_watcher(handler) {
            Ok(watcher) => watcher,
            Err(error) => return Self { _watcher: None, problems: vec![polling("files", &error)] },
        };
        let mut problems = Vec::new();
        for dir in dirs {
            if let Err(error) = watcher.watch(dir, RecursiveMode::NonRecursive) {
                problems.push(polling(&dir.display().to_string(), &error));
            }
        }
        Self { _watcher: Some(watcher), problems }
    }

    /// Directories that are looked at by the clock only, and why.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn polling(what: &str, error: &notify::Error) -> String {
    format!("{what} cannot be watched ({error}): looked at every second instead; raise fs.inotify limits")
}

/// Reading by ourselves is no news; an overflow carries no path at all and is.
fn is_news(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag};

    use super::*;

    #[test]
    fn overflow_and_writes_wake_but_our_own_reading_does_not() {
        assert!(is_news(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(is_news(&Event::new(EventKind::Create(CreateKind::File))));
        assert!(is_news(&Event::new(EventKind::Access(AccessKind::Close(AccessMode::Write)))));
        assert!(!is_news(&Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        assert!(!is_news(&Event::new(EventKind::Access(AccessKind::Close(AccessMode::Read)))));
    }

    #[test]
    fn a_directory_that_cannot_be_watched_is_reported() {
        let (wake, _waits) = crossbeam_channel::bounded(1);
        let watch = Watch::start(&[PathBuf::from("/nowhere/at/all")], wake);
        assert_eq!(watch.problems().len(), 1);
    }

    #[test]
    fn a_write_wakes() {
        let dir = tempfile::tempdir().unwrap();
        let (wake, waits) = crossbeam_channel::bounded(1);
        let watch = Watch::start(&[dir.path().to_owned()], wake);
        assert!(watch.problems().is_empty());
        std::fs::write(dir.path().join("a"), "x").unwrap();
        assert!(waits.recv_timeout(std::time::Duration::from_secs(10)).is_ok());
    }
}
