//! The segments of one NAME, oldest first: an older one is read to its present end before a younger one is begun.

use std::collections::VecDeque;
use std::time::Duration;

use super::segment::Segment;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// More rejected lines than this within `FLOOD_WINDOW` and the stream pauses till the window is over.
const FLOOD_LINES: usize = 2_000;
const FLOOD_WINDOW: Duration = Duration::from_secs(10);

pub(super) struct Stream {
    pub(super) segments: VecDeque<Segment>,
    /// When its NAME was last claimed.
    pub(super) claimed: Option<Duration>,
    pub(super) pause: Pause,
    flood: Flood,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            claimed: None,
            pause: Pause::default(),
            flood: Flood { window: Duration::ZERO, lines: 0 },
        }
    }

    /// Whether there was more to read when it was last looked at.
    pub(super) fn has_unread(&self) -> bool {
        self.segments.iter().any(|segment| segment.consumed() < segment.len || segment.len == 0)
    }

    /// Whether it was read to its end, and is finished unless somebody comes back to it within the grace.
    pub(super) fn ends_soon(&self) -> bool {
        !self.segments.is_empty() && !self.has_unread() && self.segments.iter().all(|segment| segment.seal.ends_soon())
    }

    /// Counts rejected lines; the end of the pause when they are too many.
    pub(super) fn rejected(&mut self, lines: usize, now: Duration) -> Option<Duration> {
        if now >= self.flood.window + FLOOD_WINDOW {
            self.flood = Flood { window: now, lines: 0 };
        }
        self.flood.lines += lines;
        (self.flood.lines > FLOOD_LINES).then(|| self.flood.window + FLOOD_WINDOW)
    }
}

struct Flood {
    window: Duration,
    lines: usize,
}

/// A wait that doubles while a trouble lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pause {
    pub(super) until: Duration,
    wait: Duration,
}

impl Pause {
    pub(super) fn failed(&mut self, now: Duration) {
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        self.until = now + self.wait;
    }

    pub(super) fn worked(&mut self) {
        self.wait = Duration::ZERO;
    }
}
