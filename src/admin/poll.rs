//! What a poll of the log asks for, and what it is told when a part of the log is gone.

use std::fmt;

use super::control::SubKey;
use crate::model::{Seq, Timestamp};

/// Events in log order, from a cursor on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollRequest {
    /// A cursor, or `latest`. Without one: the oldest event kept.
    pub after: Option<String>,
    pub limit: u16,
    /// Only what this subscription took, each with its delivery.
    pub subscription: Option<SubKey>,
    /// Only what ended otherwise than delivered; needs a subscription.
    pub only_undelivered: bool,
    /// A type pattern: `*` is one segment, `**` any number.
    pub event_type: Option<String>,
    pub tenant: Option<String>,
}

/// Most events on a page of a poll.
pub const POLL_LIMIT_MAX: u16 = 1000;

/// Events that were in the log at a cursor and are kept no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostEvents {
    /// Where reading goes on.
    pub oldest_cursor: String,
    /// When the first event behind what was lost was seen; nothing, when there is none.
    pub lost_before: Option<Timestamp>,
    /// The first and the last number that is lost. A tenant's caller is not told: the numbers count everybody's events.
    pub range: Option<(Seq, Seq)>,
}

impl fmt::Display for LostEvents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((first, last)) = self.range {
            write!(out, "events {first} to {last} ({}) of the log are no longer kept; ", last - first + 1)?;
        } else {
            write!(out, "events behind this cursor are no longer kept; ")?;
        }
        if let Some(before) = self.lost_before {
            write!(out, "they were seen before {before}; ")?;
        }
        write!(out, "reconcile them by other means, and go on with after={}", self.oldest_cursor)
    }
}
