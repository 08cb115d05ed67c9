//! A subscription: who gets which events, where, in which shape and with which promise.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Secret, Timestamp};

/// How hard a delivery is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    AtLeastOnce,
    AtMostOnce,
}

impl Mode {
    /// The name in the configuration and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::AtLeastOnce => "at-least-once",
            Mode::AtMostOnce => "at-most-once",
        }
    }
}

/// Which events a subscription takes. Stored with the state, because a lane that is behind judges old events by the
/// filter that was in force when they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub tenant: String,
    /// Type patterns: `*` is one segment, `**` any number of segments.
    pub events: Vec<String>,
    /// A CEL condition over the event's fields.
    pub condition: Option<String>,
}

/// The waits between attempts. `jitter` is the share by which each wait may be longer or shorter (0.1 is ±10 %).
#[derive(Clone, Debug, PartialEq)]
pub struct RetrySchedule {
    pub waits: Vec<Duration>,
    pub jitter: f64,
}

impl RetrySchedule {
    /// No second attempt.
    pub fn none() -> Self {
        Self { waits: Vec::new(), jitter: 0.0 }
    }
}

/// What deliveries are kept in order by: the hash of an event's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderKey(pub u128);

/// Name of a dialect, built in or the user's own.
pub type DialectName = String;

/// A pace: at most `count` requests in `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// Where a new subscription begins in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Now,
    Beginning,
    Since(Timestamp),
}

/// TLS settings of an endpoint; the files are read when the configuration is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    pub ca_file: Option<PathBuf>,
    pub client_cert_file: Option<PathBuf>,
    pub client_key_file: Option<PathBuf>,
}

/// How the token request's parameters travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuth2Body {
    Form,
    Json,
}

/// OAuth2 client credentials (RFC 6749 section 4.4).
#[derive(Clone, PartialEq, Eq)]
pub struct OAuth2 {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub scope: Option<String>,
    pub body: OAuth2Body,
    pub params: BTreeMap<String, String>,
    pub headers: Vec<(String, Secret)>,
}

/// The URL and the extra parameters may carry secrets, so they are left out.
impl fmt::Debug for OAuth2 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OAuth2")
            .field("client_id", &self.client_id)
            .field("scope", &self.scope)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Who defined a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// The configuration's files.
    #[default]
    File,
    /// Somebody who asked over the API.
    Api,
}

impl SourceKind {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// The place in the configuration that defined something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRef {
    pub kind: SourceKind,
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file.display(), self.line)
    }
}

/// One validated subscription: every default applied, every secret read.
#[derive(Clone, PartialEq)]
pub struct Subscription {
    /// Unique within its tenant.
    pub name: String,
    pub filter: Filter,
    /// Absolute, `http` or `https`, without user information or fragment. Often a secret itself (Carbon): mask it.
    pub url: String,
    pub dialect: DialectName,
    pub mode: Mode,
    pub timeout: Duration,
    pub retry: RetrySchedule,
    pub max_in_flight: u32,
    /// Newest first; all of them sign, where the dialect can.
    pub secrets: Vec<Secret>,
    pub headers: Vec<(String, Secret)>,
    pub oauth2: Option<OAuth2>,
    pub tls: Tls,
    pub rate_limit: Option<Rate>,
    /// `key`, or a JSON pointer into the event.
    pub order_by: Option<String>,
    /// While deliveries of a key wait, only the newest of them is sent.
    pub supersede: bool,
    pub start: Start,
    pub active: bool,
    pub params: BTreeMap<String, String>,
    pub source: SourceRef,
    /// Why it is out of force though somebody wants it: the configuration no longer allows what was made over the API. It
    /// is not active then, and what waits for it is kept.
    pub withheld: Option<String>,
}

impl Subscription {
    /// One that says no more than its name and its URL: every event of the tenant `default`, unsigned, at least once with a
    /// single attempt of at most 15 s, one in flight.
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            filter: Filter { tenant: "default".to_owned(), events: vec!["**".to_owned()], condition: None },
            url: url.to_owned(),
            dialect: "standard".to_owned(),
            mode: Mode::AtLeastOnce,
            timeout: Duration::from_secs(15),
            retry: RetrySchedule::none(),
            max_in_flight: 1,
            secrets: Vec::new(),
            headers: Vec::new(),
            oauth2: None,
            tls: Tls::default(),
            rate_limit: None,
            order_by: None,
            supersede: false,
            start: Start::Now,
            active: true,
            params: BTreeMap::new(),
            source: SourceRef::default(),
            withheld: None,
        }
    }

    pub fn tenant(&self) -> &str {
        &self.filter.tenant
    }

    /// The URL without its path and query, which may carry a token: `https://oms.example/***`.
    pub fn masked_url(&self) -> String {
        masked_url(&self.url)
    }
}

/// A URL without its path and query, which may hold a token.
pub fn masked_url(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    match url[after_scheme..].find(['/', '?']) {
        Some(at) if url.len() > after_scheme + at + 1 => format!("{}/***", &url[..after_scheme + at]),
        _ => url.to_owned(),
    }
}

/// Everything, with the URL masked.
impl fmt::Debug for Subscription {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Subscription")
            .field("name", &self.name)
            .field("filter", &self.filter)
            .field("url", &self.masked_url())
            .field("dialect", &self.dialect)
            .field("mode", &self.mode)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("max_in_flight", &self.max_in_flight)
            .field("secrets", &self.secrets)
            .field("headers", &self.headers)
            .field("oauth2", &self.oauth2)
            .field("tls", &self.tls)
            .field("rate_limit", &self.rate_limit)
            .field("order_by", &self.order_by)
            .field("supersede", &self.supersede)
            .field("start", &self.start)
            .field("active", &self.active)
            .field("params", &self.params)
            .field("source", &self.source)
            .finish()
    }
}
