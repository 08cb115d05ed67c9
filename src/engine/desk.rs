//! What stays while the engine behind it is taken down and built anew: the socket that answers, and the line to those who
//! watch attempts. Between two engines it says why there is none.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::control::Panel;
use super::receipts::Receipts;
use super::running::{Shared, lock};
use crate::admin::{self, Admin, AdminError, Door, DoorSettings, Limits, Listen, LiveHub};
use crate::config::Config;
use crate::env::{Clock, Files};
use crate::metrics::Meters;
use crate::model::Timestamp;

/// Attempts that a slow watcher may lag behind.
const LIVE_LINES: usize = 1024;
/// Those who ask while the engine starts wait this long for it.
const START_WAIT: Duration = Duration::from_secs(5);

/// No engine runs, though the process does.
#[derive(Clone, Debug, Default)]
pub(super) struct Standstill {
    /// The first engine is on its way.
    pub is_starting: bool,
    /// A sentence: what happened and what is waited for.
    pub reason: String,
    pub started_at: Timestamp,
    pub loaded_at: Timestamp,
    pub config_path: Option<PathBuf>,
}

/// Who is behind the desk.
pub(super) struct Desk {
    behind: Mutex<Result<Arc<Shared>, Standstill>>,
    opened: Condvar,
    /// Opened with the first engine, and kept for those after it.
    receipts: Mutex<Option<Arc<Receipts>>>,
}

impl Desk {
    pub fn engine(&self) -> Result<Arc<Shared>, Standstill> {
        lock(&self.behind).clone()
    }

    /// The same, for those who can wait for a start to end.
    pub fn engine_soon(&self) -> Result<Arc<Shared>, Standstill> {
        let is_starting = |behind: &mut Result<_, Standstill>| behind.as_ref().is_err_and(|still| still.is_starting);
        let waited = self.opened.wait_timeout_while(lock(&self.behind), START_WAIT, is_starting);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub fn receipts(&self) -> Option<Arc<Receipts>> {
        lock(&self.receipts).clone()
    }

    /// Takes up the receipts of requests, unless it has them.
    pub fn take_receipts(&self, open: impl FnOnce() -> Result<Receipts, String>) -> Result<(), String> {
        let mut receipts = lock(&self.receipts);
        if receipts.is_none() {
            *receipts = Some(Arc::new(open()?));
        }
        Ok(())
    }

    pub fn open(&self, shared: Arc<Shared>) {
        *lock(&self.behind) = Ok(shared);
        self.opened.notify_all();
    }

    /// Answers with a reason from now on, and lets go of the engine.
    pub fn close(&self, reason: String) {
        let mut behind = lock(&self.behind);
        *behind = Err(match &*behind {
            Ok(shared) => Standstill {
                is_starting: false,
                reason,
                started_at: shared.started_at,
                loaded_at: *lock(&shared.loaded_at),
                config_path: shared.config_path.clone(),
            },
            Err(standstill) => Standstill { is_starting: false, reason, ..standstill.clone() },
        });
    }
}

/// The desk with its doors to the outside.
pub(super) struct Front {
    pub desk: Arc<Desk>,
    pub live: LiveHub,
    door: Option<Arc<Door>>,
    pub meters: Arc<Meters>,
    admin: Option<Admin>,
}

/// What the configuration says about who may come in.
pub(super) fn door_settings(config: &Config) -> DoorSettings {
    DoorSettings {
        bootstrap: config.admin.token.clone(),
        hosts: config.admin.hosts.clone(),
        log_access: config.logging.access,
    }
}

impl Front {
    /// Nobody is behind it and no door is open.
    pub fn new() -> Self {
        let reason = "the engine starts".to_owned();
        let standstill = Standstill { is_starting: true, reason, ..Standstill::default() };
        let desk = Desk { behind: Mutex::new(Err(standstill)), opened: Condvar::new(), receipts: Mutex::new(None) };
        let (desk, live) = (Arc::new(desk), LiveHub::new(LIVE_LINES));
        Self { desk, live, door: None, meters: Arc::default(), admin: None }
    }

    /// Whether the doors that were opened are still attended.
    pub fn is_attended(&self) -> bool {
        self.admin.as_ref().is_none_or(Admin::is_running)
    }

    /// The address in use over TCP.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(Admin::tcp_address)
    }

    /// The tokens and the log of changes, read from the state directory the first time.
    pub fn door(
        &mut self,
        config: &Config,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Door>, AdminError> {
        if let Some(door) = &self.door {
            door.set(door_settings(config));
            return Ok(door.clone());
        }
        let door = Arc::new(Door::open(files, &config.state.dir, clock, door_settings(config))?);
        Ok(self.door.insert(door).clone())
    }

    /// Opens socket and port, unless they are open.
    pub fn listen(&mut self, config: &Config, door: Arc<Door>) -> Result<(), AdminError> {
        if self.admin.is_none() {
            let listen = Listen {
                socket: Some(config.admin.socket.clone()),
                tcp: config.admin.listen,
                limits: Limits::default(),
            };
            let panel = Arc::new(Panel::new(self.desk.clone()));
            self.admin = Some(admin::start(&listen, panel, self.live.clone(), door)?);
        }
        Ok(())
    }
}
