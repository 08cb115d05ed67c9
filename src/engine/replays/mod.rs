//! Replay jobs: a list of deliveries taken when the job is made, and a thread that hands them to their lanes little by little.
//!
//! ```text
//!   <state>/replays/<id>.json     what was asked, and how it ended; written last, so without it there is no job
//!   <state>/replays/<id>.list     the deliveries, as they stood: never changed, removed when the job has ended
//!   <state>/replays/<id>.marks    what became of each of them up to a record of the journal; written now and then
//! ```
//!
//! The journal stays the truth: at a start the marks are brought up to date from the records behind them, so a kill at any
//! moment changes no count, and nothing is sent a second time by one job.

mod book;
mod feed;
mod feeder;
mod files;
mod job;
mod list;
mod recover;
mod select;

pub(super) use book::Book;
pub(super) use feed::{Fed, feed};
pub(super) use feeder::feed_jobs;
pub(super) use files::JobFiles;
pub(super) use job::Info;
pub(super) use list::Entry;
pub(super) use recover::{RecoverError, leave_doubtful, load};
pub(super) use select::{Selection, Wanted, select};
