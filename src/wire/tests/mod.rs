//! What a receiver would notice: the bytes of whole requests, and whether they prove who sent them.

mod faults;
mod fixture;
mod golden;
mod receiver;
mod text;
