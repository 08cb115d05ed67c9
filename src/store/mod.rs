//! What was decided, kept: two logs and a view.
//!
//! The event log (another room's files) is the input; the *journal* is the truth about what became of it; the *ledger*
//! is what both add up to per subscription, in memory; the *view* is sled: one row per delivery that is neither delivered
//! nor simply waiting, and a copy of the ledger. Losing the view costs time, never an event. The only room that knows sled.

mod aside;
mod base;
mod checkpoint;
mod chunk;
mod dump;
mod extents;
pub mod frame;
mod history;
mod journal;
mod ledger;
mod lock;
mod marks;
mod opening;
mod reconcile;
mod record;
mod recount;
mod recovering;
mod rows;
mod state;
mod survey;
mod tail;
mod tree;
mod view;

pub use dump::{DumpLine, ExportError, ImportError, PartReport, export, import, verify};
pub use extents::Extents;
pub use journal::{Damage, JournalError, JournalFile};
pub use ledger::{AttemptCounters, Books, FilterEra, Forgotten, LaneState, Ledger, RowChange, SpoolBooks};
pub use lock::{LockError, StateLock};
pub use record::{
    Barrier, Claim, DeliveryFacts, DeliveryKey, End, ExceptionRow, ExceptionStatus, LastAttempt, Origin, Record,
    Verdict,
};
pub use recount::{Recount, RowMark};
pub use recovering::{rewrite as owe_answer, write_restored as owe_restore};
pub use state::{Limits, Opened, RowNotice, State, StateError, StateReader};
pub use tree::{Batch, Pair, Pairs, SledTrees, Tree, Trees, is_released};
pub use view::{Ordered, View, ViewError};
