//! An event becomes the bytes of a request, in the shape its receiver knows. Pure: no clock, no I/O.
//!
//! A *dialect* is data: a TOML table that says what body, headers and signature look like. The built-in ones are files
//! in `dialects/`, written in the form a user may write.

use crate::model::{DeliveryId, Event, Subscription, Timestamp};

/// The bytes of one request, without what HTTP itself adds (Host, Content-Length).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In the order they are sent; names as the dialect spells them.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Everything a dialect may speak of.
#[derive(Clone, Copy)]
pub struct RenderInput<'a> {
    pub event: &'a Event,
    pub subscription: &'a Subscription,
    pub delivery: DeliveryId,
    /// From 1.
    pub attempt: u32,
    /// When this attempt is made: the only thing that differs between two attempts of a delivery.
    pub now: Timestamp,
}
