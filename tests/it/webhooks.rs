//! Webhooks made over the API, on the real program over a real socket.

mod command_line;
mod rules;
pub mod support;
mod umbra;
mod upkeep;
