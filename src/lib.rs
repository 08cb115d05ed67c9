//! spoolhook: a line in a spool file becomes a signed POST.
//!
//! The rooms below stand in the order an event passes them; `ARCHITECTURE.md` draws the picture.

pub mod metrics;
pub mod model;

pub mod env;

pub mod ingest;
pub mod producer;
pub mod routing;

pub mod store;

pub mod dispatch;
pub mod wire;

pub mod http;

pub mod config;
pub mod receiver;

pub mod admin;
pub mod engine;

pub mod bench;

pub mod cli;
