//! Deliveries of the real program, judged by other people's code: their packages, their documentation's own lines, or
//! receivers written from their public descriptions. The scripts that hold that code are in `tests/peers`;
//! `.ci/install-peers` installs what they import. What the bytes look like is the business of `wire.rs`.

mod cloud_events;
mod judge;
pub mod process;
mod recipes;
pub mod site;
mod standard;
mod umbra;
