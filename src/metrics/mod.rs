//! What is counted while the engine runs, and how Prometheus reads it. Plain numbers behind one lock that the committer takes
//! once per commit: sending never waits for it, and nothing here touches a file or the clock.

mod histogram;
mod logs;
mod meters;
mod page;
mod series;

pub use histogram::Histogram;
pub use logs::{LEVELS, log_messages, note_log_message};
pub use meters::{Counts, Ended, Finish, Meters, SubMeters, Totals};
pub use page::{Family, Kind, Page, problems};
pub use series::{Class, HOUR_MS, MINUTE_MS, Point, Series};
