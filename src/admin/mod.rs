//! The control plane: one thread that answers the HTTP API over a unix socket and, to those who show a token, over TCP.
//! Together with `receiver` the only room that knows tokio.
//!
//! It decides nothing: every answer comes from a [`Control`], which the engine implements. The shapes on the wire are
//! in [`api`]; the command line reads the same types back.

mod accept;
mod access;
pub mod api;
mod caller;
mod changes;
mod control;
mod door;
mod extract;
mod listener;
mod live;
mod openapi;
mod poll;
mod problem;
mod routes;
mod server;
mod signals;
mod tcp;
mod traffic;
mod webhook_control;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod fake_webhooks;
#[cfg(test)]
mod tests;

pub use accept::AcceptRequest;
pub use caller::{Caller, Scope};
pub use changes::{ChangeError, Changed, Changes, NewChange};
pub use control::{Control, ControlError, DeliveryFilter, PageRequest, ReplayOutcome, StatsRequest, SubKey};
pub use door::{Door, DoorError, DoorSettings, Tokens};
pub use listener::AdminError;
pub use live::{LiveFilter, LiveHub};
pub use openapi::openapi;
pub use poll::{LostEvents, PollRequest};
pub use problem::{Problem, ProblemKind};
pub use routes::{RouteInfo, routes};
pub use server::{Admin, Listen, start};
pub use signals::{Signal, watch_signals};
pub use tcp::Limits;
pub use webhook_control::{IfMatch, NewWebhook, Rotation, WebhookChange, WebhookControl, WebhookWritten};
