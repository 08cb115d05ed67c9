//! The words of the domain, as values: no clock, no I/O, no locks, nothing of ours below.
//!
//! An *event* (one line a producer wrote) becomes a *delivery* for each subscription it matches; a delivery is tried
//! in *attempts*; each attempt ends in an *outcome*. Other rooms meet here and nowhere else.

mod delivery;
mod event;
mod hex;
mod position;
mod secret;
mod subscription;
mod timestamp;
mod when;

pub use delivery::{Attempt, AttemptTrigger, DeliveryId, DeliveryStatus, Exchange, Outcome, SubId, delivery_id};
pub use event::{Event, Operation, Rejection, RejectionReason, valid_event_type};
pub use hex::{hex, unhex};
pub use position::{Extent, Position, SegmentId, Seq};
pub use secret::Secret;
pub use subscription::{
    DialectName, Filter, Mode, OAuth2, OAuth2Body, OrderKey, Rate, RetrySchedule, SourceKind, SourceRef, Start,
    Subscription, Tls, masked_url,
};
pub use timestamp::Timestamp;
pub use when::{When, parse_span};
