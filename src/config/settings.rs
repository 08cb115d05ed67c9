//! The configuration we run on: every default applied, every reference resolved, every secret read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Mode, RetrySchedule, Secret, Subscription};
use crate::wire::Dialects;

use super::values::NetworkEntry;
use super::webhooks::Webhooks;

/// A validated configuration.
#[derive(Clone)]
pub struct Config {
    pub spool: SpoolConfig,
    pub logs: Vec<LogConfig>,
    pub state: StateConfig,
    pub admin: AdminConfig,
    pub delivery: DeliveryDefaults,
    pub network: NetworkConfig,
    pub logging: LoggingConfig,
    /// By id.
    pub tenants: Vec<TenantConfig>,
    /// In the order they are written; names are unique within a tenant.
    pub subscriptions: Vec<Subscription>,
    /// The webhooks made over the API, as written. Those that can be in force are among `subscriptions`.
    pub webhooks: Webhooks,
    /// `[admin] webhook_dialect`: the dialect of a webhook made over the API that names none.
    pub webhook_dialect: String,
    /// The built-in ones and the user's.
    pub dialects: Dialects,
    /// Everything that was read, for watching: the main file, `conf.d` itself (if it exists) and its files, secrets,
    /// certificates. Sorted.
    pub files: Vec<PathBuf>,
    /// The user's dialects as written, to tell a changed one from an unchanged one.
    pub(super) written_dialects: BTreeMap<String, toml::Table>,
    /// SHA-256 of every certificate and key file.
    pub(super) digests: BTreeMap<PathBuf, [u8; 32]>,
}

/// `[spool]`: the watched directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Producers write into `dir/in`.
    pub dir: PathBuf,
    /// The longest line that is still an event, in bytes. It holds for `[[log]]` too.
    pub max_line: u64,
    /// How long fully delivered files are kept.
    pub retention: Retention,
}

/// How much of the past is kept: whichever limit is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub age: Duration,
    /// Bytes.
    pub size: u64,
}

/// `[[log]]`: a directory of append-only files that belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub dir: PathBuf,
    /// A file name in which `*` stands for any characters and `?` for one.
    pub pattern: String,
}

/// `[state]`: what the engine remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    pub dir: PathBuf,
    /// Bytes kept free on the file systems of the state and of the spool; without it, a share of each.
    pub reserve: Option<u64>,
}

/// `[admin]`: REST, dashboard and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminConfig {
    /// `None` is `"off"`.
    pub listen: Option<SocketAddr>,
    /// The Unix socket of the command line.
    pub socket: PathBuf,
    /// Holds the bootstrap admin token. It was readable when the configuration was loaded.
    pub token_file: Option<PathBuf>,
    /// What it held then, trimmed.
    pub token: Option<Secret>,
    /// Names under which the API may be asked for over TCP, beside `localhost` and addresses.
    pub hosts: Vec<String>,
    /// Whether `POST /v1/events` writes into the spool.
    pub accept_events: bool,
}

/// `[delivery]`: what a subscription gets that says nothing itself, and the size of the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryDefaults {
    pub mode: Mode,
    pub timeout: Duration,
    pub retry: RetrySchedule,
    pub max_in_flight: u32,
    /// Threads at work at a time.
    pub workers: u32,
    /// A subscription whose attempts have all failed for so long is paused.
    pub pause_failing_after: Option<Duration>,
    /// How long attempts are kept.
    pub history: Retention,
}

/// `[network]`: exceptions from the address policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    pub allow: Vec<NetworkEntry>,
    pub deny: Vec<NetworkEntry>,
    pub proxy: Proxy,
}

/// `[logging]`: what the engine's log says of attempts and of requests. Its `format` is read before anything else, by the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggingConfig {
    /// Attempts that delivered get a line too. Without it they get one only at the level `debug`.
    pub all_attempts: bool,
    /// Endpoints are named by their whole URL instead of host and a digest: it may carry a token.
    pub full_urls: bool,
    /// Requests to the API over TCP get a line each. Without it they get one only at the level `debug`.
    pub access: bool,
}

/// Where requests go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    Env,
    /// `"off"`: straight to the endpoint, whatever the environment says.
    Off,
    /// An absolute URL; it may carry a password.
    Url(Secret),
}

/// `[[tenant]]`: limits of one tenant. Tenants without a table exist as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantConfig {
    pub id: String,
    /// Counts every subscription, and replaces the limits of dialects.
    pub max_subscriptions: Option<u32>,
    /// `Some(false)` lifts a dialect's demand for https.
    pub require_https: Option<bool>,
}

impl Config {
    /// The table of tenant `id`, if it has one.
    pub fn tenant(&self, id: &str) -> Option<&TenantConfig> {
        self.tenants.binary_search_by(|tenant| tenant.id.as_str().cmp(id)).ok().map(|at| &self.tenants[at])
    }

    /// The subscription `name` of `tenant`.
    pub fn subscription(&self, tenant: &str, name: &str) -> Option<&Subscription> {
        self.subscriptions.iter().find(|each| each.tenant() == tenant && each.name == name)
    }
}

/// Names instead of dialects, which have no `Debug`.
impl fmt::Debug for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Config")
            .field("spool", &self.spool)
            .field("logs", &self.logs)
            .field("state", &self.state)
            .field("admin", &self.admin)
            .field("delivery", &self.delivery)
            .field("network", &self.network)
            .field("logging", &self.logging)
            .field("tenants", &self.tenants)
            .field("subscriptions", &self.subscriptions)
            .field("dialects", &self.dialects.names())
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
