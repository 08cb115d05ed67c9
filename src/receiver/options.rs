//! What a receiver does with requests, and how it misbehaves.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::record::{Received, Verdict};
use crate::env::{Clock, Files, OsFiles, SystemClock};

/// Called for every request before it is answered. Runs on the receiver's thread, so it should be quick.
pub type OnRequest = Arc<dyn Fn(&Received) + Send + Sync>;

/// Judges a request's signature.
pub type Verify = Arc<dyn Fn(&Received) -> Verdict + Send + Sync>;

/// The default takes everything, says 200 and remembers nothing but the count.
#[derive(Clone)]
pub struct Options {
    /// Statuses of the answers, one after the other and round again; at least one, from 200 to 599.
    pub statuses: Vec<u16>,
    /// Time between the request and its answer.
    pub delay: Duration,
    /// Share of requests answered 500 instead, from 0 to 1, drawn from `seed`.
    pub fail_rate: f64,
    pub seed: u64,
    /// Takes requests and never answers.
    pub hang: bool,
    /// Resets the connection instead of answering.
    pub reset: bool,
    /// Body of every answer; sent as JSON when it starts with a brace, else as plain text.
    pub body: Vec<u8>,
    /// Seconds for a `Retry-After` header on answers that are not 2xx.
    pub retry_after: Option<u32>,
    /// Keeps requests in memory for [`super::Receiver::received`].
    pub collect: bool,
    /// Writes one file per request into this directory, which is created.
    pub save: Option<PathBuf>,
    pub on_request: Option<OnRequest>,
    pub verify: Option<Verify>,
    /// Answers 401 to what does not verify.
    pub reject_bad: bool,
    pub clock: Arc<dyn Clock>,
    pub files: Arc<dyn Files>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            statuses: vec![200],
            delay: Duration::ZERO,
            fail_rate: 0.0,
            seed: 0,
            hang: false,
            reset: false,
            body: Vec::new(),
            retry_after: None,
            collect: false,
            save: None,
            on_request: None,
            verify: None,
            reject_bad: false,
            clock: Arc::new(SystemClock::new()),
            files: Arc::new(OsFiles),
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> io::Result<()> {
        let invalid = |message: String| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        if self.statuses.is_empty() {
            return invalid("a receiver needs at least one status to answer with".to_owned());
        }
        if let Some(status) = self.statuses.iter().find(|status| !(200..=599).contains(*status)) {
            return invalid(format!("{status} is no status to answer with; use 200 to 599"));
        }
        if !(0.0..=1.0).contains(&self.fail_rate) {
            return invalid(format!("the fail rate {} is not between 0 and 1", self.fail_rate));
        }
        Ok(())
    }

    /// Whether anybody wants to see requests at all.
    pub(super) fn looks_at_requests(&self) -> bool {
        self.collect || self.save.is_some() || self.on_request.is_some() || self.verify.is_some()
    }
}
