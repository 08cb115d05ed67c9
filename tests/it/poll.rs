//! The poll safety net, from outside: pages of the log over the unix socket.

pub mod api;
mod great;
mod pages;
mod sweep;
mod undelivered;
