//! The control plane: one thread that answers the HTTP API over a unix socket (and health probes over TCP). Together
//! with `receiver` the only room that knows tokio.
//!
//! It decides nothing: every answer comes from a [`Control`], which the engine implements. The shapes on the wire are
//! in [`api`]; the command line reads the same types back.

pub mod api;
mod caller;
mod control;
mod extract;
mod listener;
mod live;
mod openapi;
mod problem;
mod routes;
mod server;
mod signals;
mod traffic;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use caller::{Caller, Scope};
pub use control::{Control, ControlError, DeliveryFilter, PageRequest, StatsRequest, SubKey};
pub use listener::AdminError;
pub use live::{LiveFilter, LiveHub};
pub use openapi::openapi;
pub use problem::{Problem, ProblemKind};
pub use routes::{RouteInfo, routes};
pub use server::{Admin, Listen, start};
pub use signals::{Signal, watch_signals};
