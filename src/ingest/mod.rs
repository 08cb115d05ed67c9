//! Taking events in: from the lines producers write to events that are numbered, durable and ready to be matched.
//!
//! ```text
//! in/NAME --claim--> claimed/ULID~NAME --frame--> line --judge--> event | blank | quarantine
//! [[log]] --copy---> claimed/ULID~log          (turns, per NAME in order)      |
//!                          |                                                Batch --> journal
//!                          +--seal--> retire --> archive/ --retain--> (remnants) --> gone
//! ```
//!
//! `Ingest::tick` does all of it, a bounded piece at a time, and never waits; `Watch` only tells its caller to tick
//! sooner. `LogReader` reads events again, `Quarantine` is for those who look through rejected lines, `Producer` is the
//! other side of the protocol. What becomes of an event behind the batch is for others.

mod bring_back;
mod budget;
mod claim;
mod error;
mod framing;
mod gather;
mod index;
mod inventory;
mod judge;
mod layout;
mod log;
mod lookup;
mod names;
mod overview;
mod produce;
mod quarantine;
mod reader;
mod record;
mod remnant;
mod reread;
mod resume;
mod retention;
mod retire;
mod seal;
mod segment;
mod settings;
mod shelf;
mod status;
mod stream;
mod tailer;
mod tally;
#[cfg(test)]
mod tests;
mod tick;
mod visit;
mod watch;

pub use budget::reserve_of;
pub use error::IngestError;
pub use framing::{Content, Line, lines};
pub use inventory::{Inventory, inventory};
pub use log::LogCursor;
pub use produce::{ProduceError, Producer, as_line, file_name};
pub use quarantine::{Quarantine, QuarantineEntry, QuarantineError, QuarantineState};
pub use reader::{LogReader, ReadError};
pub use record::{Amended, amend, parse_line};
pub use settings::{IngestSettings, LogSettings};
pub use status::{Problem, ProblemKind, SourceStatus};
pub use tailer::{Ingest, Reading};
pub use tally::{SourceKind, Tally};
pub use tick::{Batch, Lost, Next, Resume, Tick};
pub use watch::Watch;
