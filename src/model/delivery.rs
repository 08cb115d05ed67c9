//! Deliveries, attempts and outcomes: the one list that API, metrics, logs and filters share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Position, Timestamp};

/// Number of a subscription: allotted once per tenant and name, kept in the state, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubId(pub u32);

/// Identity of one delivery: the same on every attempt, after every crash and in every view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub Uuid);

impl fmt::Display for DeliveryId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(out)
    }
}

impl FromStr for DeliveryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(DeliveryId)
    }
}

/// The id of the delivery of the line at `position` to `tenant`/`subscription`; `replay` is 0 for the delivery that
/// matching made and n for its n-th replay as a new delivery. Derived, not drawn, so that losing every byte of state
/// does not change it. UUID version 8 (RFC 9562): 48 bits of the segment's time, then SHA-256 of the names.
pub fn delivery_id(position: Position, tenant: &str, subscription: &str, replay: u32) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(position.segment.0.to_be_bytes());
    hash.update(position.offset.to_be_bytes());
    hash.update(replay.to_be_bytes());
    hash.update(tenant.as_bytes());
    hash.update([0]);
    hash.update(subscription.as_bytes());
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&(position.segment.0 >> 80).to_be_bytes()[10..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    DeliveryId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeliveryStatus {
    Pending,
    Delivered,
    Failed,
    Cancelled,
    /// Bytes may have left and no answer is known. An at-most-once delivery stays here for ever.
    Unknown,
    Expired,
}

impl DeliveryStatus {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Delivered, Self::Failed, Self::Cancelled, Self::Unknown, Self::Expired];

    /// The name in the API, filters and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What was concluded from one attempt. Variants are stored by number: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    Success,
    Http3xx,
    Http4xx,
    Http410,
    Http429,
    Http5xx,
    TimeoutConnect,
    TimeoutResponse,
    Dns,
    Refused,
    Reset,
    TlsUnknownCa,
    TlsExpired,
    TlsName,
    TlsOther,
    Proxy,
    OauthToken,
    BlockedAddress,
    TooLarge,
    InvalidResponse,
    Unknown,
}

impl Outcome {
    pub const ALL: [Self; 21] = [
        Self::Success,
        Self::Http3xx,
        Self::Http4xx,
        Self::Http410,
        Self::Http429,
        Self::Http5xx,
        Self::TimeoutConnect,
        Self::TimeoutResponse,
        Self::Dns,
        Self::Refused,
        Self::Reset,
        Self::TlsUnknownCa,
        Self::TlsExpired,
        Self::TlsName,
        Self::TlsOther,
        Self::Proxy,
        Self::OauthToken,
        Self::BlockedAddress,
        Self::TooLarge,
        Self::InvalidResponse,
        Self::Unknown,
    ];

    /// The name in the API, filters, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Http3xx => "http_3xx",
            Self::Http4xx => "http_4xx",
            Self::Http410 => "http_410",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutResponse => "timeout_response",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TlsUnknownCa => "tls_unknown_ca",
            Self::TlsExpired => "tls_expired",
            Self::TlsName => "tls_name",
            Self::TlsOther => "tls_other",
            Self::Proxy => "proxy",
            Self::OauthToken => "oauth_token",
            Self::BlockedAddress => "blocked_address",
            Self::TooLarge => "too_large",
            Self::InvalidResponse => "invalid_response",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// The class of a complete status line: 2xx alone is success (Standard Webhooks 1.0.0).
    pub fn of_status(code: u16) -> Self {
        match code {
            200..=299 => Self::Success,
            300..=399 => Self::Http3xx,
            410 => Self::Http410,
            429 => Self::Http429,
            400..=499 => Self::Http4xx,
            500..=599 => Self::Http5xx,
            _ => Self::InvalidResponse,
        }
    }
}

/// What made an attempt happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptTrigger {
    First,
    Retry,
    Manual,
}

impl AttemptTrigger {
    /// The name in the API and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Manual => "manual",
        }
    }
}

/// What is kept of one HTTP exchange for people to read. Secrets are masked before they get here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// `None` when no complete status line came.
    pub status_code: Option<u16>,
    pub response_headers: Vec<(String, String)>,
    /// At most the first kilobyte; diagnostics, not data.
    pub response_body: Vec<u8>,
    /// One sentence for a person: what went wrong, empty on success.
    pub error: String,
    /// Bytes of the request handed to the connection; 0 proves that nothing was sent.
    pub request_bytes: u64,
    pub remote_address: String,
}

/// One HTTP try and what it led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1, counted per delivery.
    pub number: u32,
    pub started: Timestamp,
    pub duration_ms: u32,
    pub trigger: AttemptTrigger,
    pub outcome: Outcome,
    pub exchange: Exchange,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SegmentId;

    #[test]
    fn delivery_ids_are_derived_and_distinct() {
        let at = Position { segment: SegmentId::next(Timestamp(1_773_309_600_000), None, 1), offset: 77 };
        let id = delivery_id(at, "default", "oms", 0);
        assert_eq!(id, delivery_id(at, "default", "oms", 0));
        assert_eq!(id.0.get_version_num(), 8);
        assert_ne!(id, delivery_id(at, "default", "oms", 1));
        assert_ne!(id, delivery_id(at, "defaulto", "ms", 0));
        assert_ne!(id, delivery_id(Position { offset: 78, ..at }, "default", "oms", 0));
        assert_eq!(id.to_string().parse::<DeliveryId>().ok(), Some(id));
    }

    #[test]
    fn names_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        for status in DeliveryStatus::ALL {
            assert_eq!(DeliveryStatus::parse(status.as_str()), Some(status));
        }
    }

    #[test]
    fn only_2xx_is_success() {
        assert_eq!(Outcome::of_status(204), Outcome::Success);
        assert_eq!(Outcome::of_status(302), Outcome::Http3xx);
        assert_eq!(Outcome::of_status(410), Outcome::Http410);
        assert_eq!(Outcome::of_status(199), Outcome::InvalidResponse);
    }
}
