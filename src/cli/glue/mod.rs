//! Where commands meet the other rooms: one thin file per room, so that a command sees plain values and this room's
//! errors only.

pub mod config;
pub mod engine;
pub mod offline;
pub mod receiver;
pub mod signature;
