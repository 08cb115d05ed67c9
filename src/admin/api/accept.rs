//! The answer to events that were handed in.

use serde::{Deserialize, Serialize};

/// Every event is in the spool, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub result: String,
    pub message: String,
    pub accepted: usize,
    /// In the order of the lines.
    pub events: Vec<AcceptedEvent>,
}

/// How to find an event again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedEvent {
    pub id: String,
}

/// Why one line is no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFault {
    /// From 1.
    pub line: usize,
    /// The class of the fault, as in quarantine.
    pub reason: String,
    pub detail: String,
}
