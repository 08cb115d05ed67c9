//! Where a connection stands, as its socket and its handler see it together. The time comes in as a value.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::time::Instant;

use super::Limits;

/// Most bytes of a head. A server's usual bound, and little enough for all connections together.
const HEAD_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is asked; the next request begins before this.
    Idle(Instant),
    /// A head is under way, and ends before this.
    Head { until: Instant, bytes: usize },
    /// The other side waits for us.
    Answering,
}

/// How long the other side may still take.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    phase: Mutex<Phase>,
    /// Whoever reads meanwhile, to be told when there is another time to look again.
    reader: Mutex<Option<Waker>>,
}

impl Watch {
    /// For a connection that begins `now`.
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        let phase = Phase::Head { until: now + limits.head, bytes: 0 };
        Self { limits, phase: Mutex::new(phase), reader: Mutex::default() }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// So much came in.
    pub(super) fn received(&self, count: usize, now: Instant) {
        let mut phase = self.phase();
        let (until, bytes) = match *phase {
            Phase::Answering => return,
            // The end of the stream begins nothing.
            Phase::Idle(_) if count == 0 => return,
            Phase::Idle(_) => (now + self.limits.head, count),
            Phase::Head { until, bytes } => (until, bytes + count),
        };
        // What makes the head complete may have come with it, so the next read finds out.
        *phase = Phase::Head { until: if bytes > HEAD_BYTES_MAX { now } else { until }, bytes };
    }

    /// A head is complete.
    pub(super) fn begin(&self) {
        *self.phase() = Phase::Answering;
    }

    /// The answer is complete.
    pub(super) fn end(&self, now: Instant) {
        *self.phase() = Phase::Idle(now + self.limits.idle);
        self.wake();
    }

    /// Some of an answer was taken. What was handed over may still be on its way when the answer is complete for us.
    pub(super) fn sent(&self, now: Instant) {
        if let Phase::Idle(until) = &mut *self.phase() {
            *until = now + self.limits.idle;
        }
    }

    /// Since when nothing is asked, or asked to its end; `None` while the other side waits for us.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::Idle(until) => until.checked_sub(self.limits.idle),
            Phase::Head { until, .. } => until.checked_sub(self.limits.head),
            Phase::Answering => None,
        }
    }

    /// Has the connection end, unless a request came meanwhile.
    pub(super) fn dismiss(&self, now: Instant) {
        match &mut *self.phase() {
            Phase::Idle(until) | Phase::Head { until, .. } => *until = now,
            Phase::Answering => return,
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(reader) = self.reader().take() {
            reader.wake();
        }
    }

    /// Somebody waits for bytes, and looks again at [`due`](Self::due) when an answer is complete.
    pub(super) fn reads(&self, waker: &Waker) {
        self.reader().get_or_insert_with(|| waker.clone()).clone_from(waker);
    }

    /// When the other side is late; never while it waits for us.
    pub(super) fn due(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::Idle(until) | Phase::Head { until, .. } => Some(until),
            Phase::Answering => None,
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Option<Waker>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_do_not_buy_time() {
        let begun = Instant::now();
        let watch = Watch::new(Limits::default(), begun);
        for second in 1..10 {
            watch.received(1, begun + second * SECOND);
            assert_eq!(watch.due(), Some(begun + 10 * SECOND));
        }
        watch.begin();
        assert_eq!(watch.due(), None, "a poll may wait as long as it was told to");
        watch.end(begun + 40 * SECOND);
        assert_eq!(watch.due(), Some(begun + 100 * SECOND));
        watch.received(1, begun + 99 * SECOND);
        assert_eq!(watch.due(), Some(begun + 109 * SECOND));
    }

    #[test]
    fn whoever_takes_an_answer_slowly_is_not_silent() {
        let begun = Instant::now();
        let watch = Watch::new(Limits::default(), begun);
        watch.begin();
        watch.sent(begun + SECOND);
        assert_eq!(watch.due(), None);
        watch.end(begun + 2 * SECOND);
        watch.sent(begun + 50 * SECOND);
        assert_eq!(watch.due(), Some(begun + 110 * SECOND));
    }

    #[test]
    fn only_the_silent_are_dismissed() {
        let begun = Instant::now();
        let watch = Watch::new(Limits::default(), begun);
        assert_eq!(watch.silent_since(), Some(begun));
        watch.begin();
        watch.dismiss(begun + SECOND);
        assert_eq!((watch.silent_since(), watch.due()), (None, None));
        watch.end(begun + 2 * SECOND);
        assert_eq!(watch.silent_since(), Some(begun + 2 * SECOND));
        watch.dismiss(begun + 3 * SECOND);
        assert_eq!(watch.due(), Some(begun + 3 * SECOND));
    }

    #[test]
    fn a_head_has_an_end() {
        let now = Instant::now();
        let watch = Watch::new(Limits::default(), now);
        watch.received(HEAD_BYTES_MAX, now);
        assert_eq!(watch.due(), Some(now + 10 * SECOND));
        watch.received(1, now + SECOND);
        assert_eq!(watch.due(), Some(now + SECOND));
    }
}
