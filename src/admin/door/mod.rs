//! The door: who may come in over TCP, and what they changed once inside.
//!
//! Over the unix socket the file's mode is the access control, and everybody is [`Caller::socket`](super::Caller::socket).
//! Over TCP a request passes, in this order: the name it was sent to (against DNS rebinding), the page that sent it (against
//! forged writes), and its token. A wrong token is answered 401, and 429 when they keep coming.

mod gate;
mod origin;
mod request_id;
mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

pub(super) use gate::{Asker, Stranger, over_tcp};
pub(super) use request_id::{RequestId, with_request_id};
pub(super) use tokens::Proof;
pub use tokens::Tokens;

use self::throttle::Throttle;
use super::changes::{ChangeError, Changes};
use crate::env::{Clock, Files};
use crate::model::{Secret, Timestamp};

/// Why the door cannot be opened.
#[derive(Debug, Error)]
pub enum DoorError {
    #[error("read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{} is damaged ({detail}): put back a copy of it, or move it away and create every token anew with \
         `spoolhook token create`", path.display()
    )]
    Damaged { path: PathBuf, detail: String },
    #[error(transparent)]
    Changes(#[from] ChangeError),
}

/// What the configuration says about the door; it may change while the engine runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoorSettings {
    /// The bootstrap administrator's token.
    pub bootstrap: Option<Secret>,
    /// Names under which the API may be asked for, beside addresses.
    pub hosts: Vec<String>,
    /// Every request over TCP gets a line in the log.
    pub log_access: bool,
}

/// The tokens and the log of changes of one state directory, and what protects them.
pub struct Door {
    pub tokens: Tokens,
    pub changes: Changes,
    throttle: Throttle,
    clock: Arc<dyn Clock>,
    hosts: Mutex<Arc<[String]>>,
    log_access: AtomicBool,
}

impl Door {
    /// Reads what is kept in `dir`, which must exist.
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        clock: Arc<dyn Clock>,
        settings: DoorSettings,
    ) -> Result<Self, DoorError> {
        let door = Self {
            tokens: Tokens::open(files.clone(), dir, clock.clone())?,
            changes: Changes::open(files, dir, clock.clone())?,
            throttle: Throttle::default(),
            clock,
            hosts: Mutex::new(Arc::from([])),
            log_access: AtomicBool::new(false),
        };
        door.set(settings);
        Ok(door)
    }

    /// Puts other settings in force.
    pub fn set(&self, settings: DoorSettings) {
        self.tokens.set_bootstrap(settings.bootstrap.as_ref());
        self.log_access.store(settings.log_access, Ordering::Relaxed);
        *self.hosts.lock().unwrap_or_else(PoisonError::into_inner) = settings.hosts.into();
    }

    pub(super) fn logs_access(&self) -> bool {
        self.log_access.load(Ordering::Relaxed)
    }

    /// Time since some moment, for telling how long something took.
    pub(super) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The wall clock that tokens and changes go by.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn hosts(&self) -> Arc<[String]> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
