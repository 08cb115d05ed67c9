//! What `demo` is made of: sample events, a configuration for them, and a directory that goes away again.

pub mod config;
mod home;
mod samples;

pub use home::Home;
pub use samples::SAMPLES;
