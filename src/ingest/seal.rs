//! When a segment is finished: the moment after which nobody can add to it. Pure; the caller asks the kernel.
//!
//! A claimed file cannot be opened by its old name, so once no process has it open for writing none ever will. Two
//! such answers a grace apart, with no growth between, cover the producer that was just opening it while we renamed.

use std::time::Duration;

use crate::env::Writers;

/// The waits of sealing.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealRules {
    pub(super) grace: Duration,
    pub(super) idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealStep {
    Wait,
    /// `proven` is false when only silence says so.
    Sealed {
        proven: bool,
    },
}

/// What is known of a segment's writers. Times are engine time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seal {
    len: u64,
    changed: Duration,
    quiet_since: Option<Duration>,
    next_ask: Duration,
    /// Somebody had it open for writing when last asked.
    pub(super) has_writer: bool,
}

impl Seal {
    pub(super) fn new(now: Duration) -> Self {
        Self { len: 0, changed: now, quiet_since: None, next_ask: now, has_writer: false }
    }

    /// When the kernel is to be asked next, provided that everything is read.
    pub(super) fn next_ask(&self) -> Duration {
        self.next_ask
    }

    /// Takes note of the length; a change starts the waits anew.
    pub(super) fn observe(&mut self, len: u64, now: Duration) {
        if len != self.len {
            *self = Self { len, changed: now, ..Self::new(now) };
        }
    }

    /// How long the length has not changed.
    pub(super) fn idle(&self, now: Duration) -> Duration {
        now.saturating_sub(self.changed)
    }

    /// Nobody had it open when last asked: one more such answer ends it.
    pub(super) fn ends_soon(&self) -> bool {
        self.quiet_since.is_some()
    }

    /// Takes the kernel's answer.
    pub(super) fn answer(&mut self, writers: Writers, now: Duration, rules: SealRules) -> SealStep {
        self.has_writer = writers == Writers::Some;
        self.next_ask = now + rules.grace;
        match writers {
            Writers::Some => self.quiet_since = None,
            Writers::None => match self.quiet_since {
                Some(since) if now.saturating_sub(since) >= rules.grace => return SealStep::Sealed { proven: true },
                Some(_) => {}
                None => self.quiet_since = Some(now),
            },
            Writers::Unknown if self.idle(now) >= rules.idle => return SealStep::Sealed { proven: false },
            Writers::Unknown => self.next_ask = self.changed + rules.idle,
        }
        SealStep::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: SealRules = SealRules { grace: Duration::from_secs(1), idle: Duration::from_secs(600) };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn two_quiet_answers_a_grace_apart() {
        let mut seal = Seal::new(s(0));
        seal.observe(10, s(0));
        assert_eq!(seal.answer(Writers::None, s(0), RULES), SealStep::Wait);
        assert_eq!(seal.answer(Writers::None, Duration::from_millis(999), RULES), SealStep::Wait);
        assert_eq!(seal.answer(Writers::None, s(1), RULES), SealStep::Sealed { proven: true });
    }

    #[test]
    fn a_writer_or_growth_starts_the_wait_anew() {
        let mut seal = Seal::new(s(0));
        seal.answer(Writers::None, s(0), RULES);
        seal.answer(Writers::Some, s(1), RULES);
        assert!(seal.has_writer);
        assert_eq!(seal.answer(Writers::None, s(2), RULES), SealStep::Wait);
        seal.observe(11, s(3));
        assert_eq!(seal.answer(Writers::None, s(4), RULES), SealStep::Wait);
        assert_eq!(seal.answer(Writers::None, s(5), RULES), SealStep::Sealed { proven: true });
    }

    #[test]
    fn without_an_answer_only_long_silence_seals() {
        let mut seal = Seal::new(s(0));
        seal.observe(1, s(5));
        assert_eq!(seal.answer(Writers::Unknown, s(6), RULES), SealStep::Wait);
        assert_eq!(seal.next_ask(), s(605));
        assert_eq!(seal.answer(Writers::Unknown, s(605), RULES), SealStep::Sealed { proven: false });
    }
}
