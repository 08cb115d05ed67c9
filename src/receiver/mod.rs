//! A webhook receiver for people and tests: it takes any request, may verify, save and show it, and can misbehave in
//! every way an endpoint does. Runs on a thread of its own; this room and `admin` are the only ones that know tokio.
//!
//! How to verify is the caller's business ([`Verify`]): the room knows no dialect.

mod connection;
mod options;
mod record;
mod save;
mod server;
#[cfg(test)]
mod tests;

pub use options::{OnRequest, Options, Verify};
pub use record::{Received, Verdict};
pub use server::Receiver;
