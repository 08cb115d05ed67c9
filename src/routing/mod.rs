//! Who gets an event: type patterns, CEL conditions and the index over them. Pure: no clock, no file, no lock held.
//!
//! [`CompiledFilter`] judges one event for one subscription and can say why; [`Router`] judges one event for all of
//! them at a cost that grows with the subscriptions that match. Both read the event as bytes and build the values a
//! condition looks at ([`EventContext`]) once, and only when a condition asks.

mod check;
mod condition;
mod context;
mod explain;
mod filter;
mod index;
mod json;
mod parse;
mod pattern;
#[cfg(test)]
mod sample;
mod trie;

pub use condition::{Condition, ConditionError, Evaluation, MAX_CONDITION_BYTES};
pub use context::EventContext;
pub use explain::MatchVerdict;
pub use filter::{CompiledFilter, FilterError};
pub use index::Router;
pub use pattern::Pattern;
