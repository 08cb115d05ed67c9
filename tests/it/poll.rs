//! The poll safety net, from outside: pages of the log over the unix socket.

mod api;
mod great;
mod pages;
mod undelivered;
