//! What stays while the engine behind it is taken down and built anew: the socket that answers, and the line to those who
//! watch attempts. Between two engines it says why there is none.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::control::Panel;
use super::running::{Shared, lock};
use crate::admin::{self, Admin, AdminError, Listen, LiveHub};
use crate::config::Config;
use crate::model::Timestamp;

/// Attempts that a slow watcher may lag behind.
const LIVE_LINES: usize = 1024;

/// No engine runs, though the process does.
#[derive(Clone, Debug, Default)]
pub(super) struct Standstill {
    /// A sentence: what happened and what is waited for.
    pub reason: String,
    pub started_at: Timestamp,
    pub loaded_at: Timestamp,
    pub config_path: Option<PathBuf>,
}

/// Who is behind the desk.
pub(super) struct Desk(Mutex<Result<Arc<Shared>, Standstill>>);

impl Desk {
    pub fn engine(&self) -> Result<Arc<Shared>, Standstill> {
        lock(&self.0).clone()
    }

    pub fn open(&self, shared: Arc<Shared>) {
        *lock(&self.0) = Ok(shared);
    }

    /// Answers with a reason from now on, and lets go of the engine.
    pub fn close(&self, reason: String) {
        let mut behind = lock(&self.0);
        *behind = Err(match &*behind {
            Ok(shared) => Standstill {
                reason,
                started_at: shared.started_at,
                loaded_at: *lock(&shared.loaded_at),
                config_path: shared.config_path.clone(),
            },
            Err(standstill) => Standstill { reason, ..standstill.clone() },
        });
    }
}

/// The desk with its doors to the outside.
pub(super) struct Front {
    pub desk: Arc<Desk>,
    pub live: LiveHub,
    admin: Option<Admin>,
}

impl Front {
    /// Nobody is behind it and no door is open.
    pub fn new() -> Self {
        let standstill = Standstill { reason: "the engine starts".to_owned(), ..Standstill::default() };
        Self { desk: Arc::new(Desk(Mutex::new(Err(standstill)))), live: LiveHub::new(LIVE_LINES), admin: None }
    }

    /// Whether the doors that were opened are still attended.
    pub fn is_attended(&self) -> bool {
        self.admin.as_ref().is_none_or(Admin::is_running)
    }

    /// Opens socket and port, unless they are open.
    pub fn listen(&mut self, config: &Config) -> Result<(), AdminError> {
        if self.admin.is_none() {
            let listen = Listen { socket: Some(config.admin.socket.clone()), tcp: config.admin.listen };
            self.admin = Some(admin::start(&listen, Arc::new(Panel::new(self.desk.clone())), self.live.clone())?);
        }
        Ok(())
    }
}
