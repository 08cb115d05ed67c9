//! The engine as a process, killed: at random under load, at its system calls, with the file system under it. Judged by
//! what an independent receiver saw.
//!
//! ```text
//!   SPOOLHOOK_CRASH_EVENTS  SPOOLHOOK_CRASH_KILLS    size of the random kills
//!   SPOOLHOOK_KILL_EVERY=all, or a number            system calls to be killed at
//!   SPOOLHOOK_POWER_CUTS                             number of power cuts
//!   SPOOLHOOK_CRASH_SEED                             the moments, of all of them
//! ```

mod judge;
mod kills;
mod power;
mod producers;
mod syscalls;
mod world;
