//! Faults of disk and process, done to the real binary: what must go on goes on, what must stop stops and says why, and
//! afterwards nothing is lost and the books agree with the receiver.
//!
//! Some need root (a small tmpfs) or strace; they say so and pass where these are missing, unless
//! `SPOOLHOOK_REQUIRE_FAULTS` is set.

mod disk_errors;
mod full_disk;
mod lost_state;
mod process;
mod tools;
