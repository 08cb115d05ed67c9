//! An event becomes the bytes of a request, in the shape its receiver knows. Pure: no clock, no I/O.
//!
//! A *dialect* is data: a TOML table that says what body, headers and signature look like. The built-in ones are files
//! in `dialects/`, written in the form a user may write.
//!
//! ```text
//! TOML --compile--> Dialect --bind(subscription)--> Bound --render(event, attempt)--> Request
//!                      \--verify(headers, body, secrets)--> Verdict        (the receiver's side, from the same table)
//! ```
//! A request carries what its dialect says and nothing else: the headers a subscription adds, `Host`, `Content-Length`
//! and OAuth2 tokens come later, in the rooms that send it.

mod compile;
mod dialect;
mod dialects;
mod glob;
mod keys;
mod render;
mod signature;
mod template;

#[cfg(test)]
mod tests;

pub use dialect::{Dialect, DialectDefaults, Param};
pub use dialects::{Dialects, EXAMPLES};
pub use keys::DialectFault;
pub use render::{Bound, RenderError};
pub use signature::{Verdict, generate_key_pair, generate_secret};

use crate::model::{DeliveryId, Event, Subscription, Timestamp};

/// A JSON pointer (RFC 6901), ready to look into JSON text.
#[derive(Clone, Debug)]
pub struct Pointer(template::pointer::Tokens);

impl Pointer {
    /// Reads `/` and a token, any number of times; `None` on anything else.
    pub fn parse(text: &str) -> Option<Self> {
        template::pointer::parse(text).filter(|tokens| !tokens.is_empty()).map(Self)
    }

    /// The value's own bytes.
    pub fn find<'a>(&self, json: &'a [u8]) -> Option<&'a [u8]> {
        template::pointer::find(json, &self.0)
    }
}

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
