//! How much of the log each lane may hold in memory. Pure.

/// Most events and bytes of events a lane holds in memory (one event always fits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub events: usize,
    pub bytes: usize,
}

impl Window {
    /// The share of each of so many lanes that have something to send. What they hold together stays about the same, and
    /// those that read the log stay close enough together to read the same stretches.
    pub fn of(lanes: usize) -> Self {
        let share = |all: usize, least: usize, most: usize| (all / lanes.max(1)).clamp(least, most);
        Self { events: share(8192, 8, 512), bytes: share(4 << 20, 8 << 10, 1 << 20) }
    }
}
