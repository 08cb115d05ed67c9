//! Whether every thread of the engine still moves. Each one beats at least once a second, however little there is to do;
//! workers are not among them, since a request may well take its time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::running::{EngineError, lock};

/// A thread that does not beat for so long is reported...
const REPORTED: Duration = Duration::from_secs(10);
/// ...and after this it is taken for stuck. A disk may hang for minutes, and a reload may read all of the log.
const STUCK: Duration = Duration::from_secs(600);
/// A look counts for no more than this, so that a process that was stopped (SIGSTOP) does not wake up in doubt.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The longest time between two beats of a healthy thread.
pub(super) const BEAT: Duration = Duration::from_secs(1);

/// The threads that beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Intake,
    Committer,
    Scheduler,
    CatchUp,
    Housekeeping,
    Replays,
}

impl Who {
    pub const ALL: [Self; 6] =
        [Self::Intake, Self::Committer, Self::Scheduler, Self::CatchUp, Self::Housekeeping, Self::Replays];

    /// The thread's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Committer => "committer",
            Self::Scheduler => "scheduler",
            Self::CatchUp => "catch-up",
            Self::Housekeeping => "housekeeping",
            Self::Replays => "replays",
        }
    }
}

/// The beats of all threads.
#[derive(Default)]
pub(super) struct Pulses {
    beats: [AtomicU64; Who::ALL.len()],
    late: Mutex<Option<String>>,
}

impl Pulses {
    /// Counted by the thread itself, in its loop.
    pub fn beat(&self, who: Who) {
        self.beats[who as usize].fetch_add(1, Ordering::Relaxed);
        #[cfg(debug_assertions)]
        super::failpoint::reached(who.name());
    }

    /// A sentence about a thread that does not move, for health.
    pub fn late(&self) -> Option<String> {
        lock(&self.late).clone()
    }
}

/// Looks at the beats.
#[derive(Default)]
pub(super) struct Watchdog {
    last: Option<Duration>,
    /// Beats when last seen, and how long they have not changed.
    seen: [(u64, Duration); Who::ALL.len()],
}

impl Watchdog {
    /// Looks at `now`, by the monotonic clock. An error says which thread is stuck.
    pub fn look(&mut self, pulses: &Pulses, now: Duration) -> Result<(), EngineError> {
        let gap = now.saturating_sub(self.last.replace(now).unwrap_or(now)).min(LOOK_MAX);
        let mut late: Vec<(Who, Duration)> = Vec::new();
        for who in Who::ALL {
            let beats = pulses.beats[who as usize].load(Ordering::Relaxed);
            let (known, still) = &mut self.seen[who as usize];
            *still = if beats == *known { *still + gap } else { Duration::ZERO };
            *known = beats;
            if *still >= REPORTED {
                late.push((who, *still));
            }
        }
        // One that waits for another is late with it.
        let longest = late.iter().copied().max_by_key(|(_, still)| *still);
        let text = longest.map(|(_, still)| {
            let names: Vec<_> = late.iter().map(|(who, _)| format!("\"{}\"", who.name())).collect();
            format!("{} did not move for {} s", names.join(", "), still.as_secs())
        });
        let mut reported = lock(&pulses.late);
        match (&text, &*reported) {
            (Some(text), None) => tracing::warn!("{text}; a disk that hangs is the usual cause"),
            (None, Some(_)) => tracing::info!("every thread moves again"),
            _ => {}
        }
        *reported = text;
        match longest {
            Some((who, still)) if still >= STUCK => {
                Err(EngineError::Stuck { thread: who.name(), seconds: still.as_secs() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat_but(pulses: &Pulses, silent: Option<Who>) {
        Who::ALL.into_iter().filter(|who| Some(*who) != silent).for_each(|who| pulses.beat(who));
    }

    #[test]
    fn a_silent_thread_is_named_and_then_ends_the_engine() {
        let (pulses, mut watchdog) = (Pulses::default(), Watchdog::default());
        let mut ended = None;
        for second in 0..700 {
            beat_but(&pulses, (second > 20).then_some(Who::Committer));
            let looked = watchdog.look(&pulses, Duration::from_secs(second));
            match second {
                ..=29 => assert_eq!(pulses.late(), None, "{second}"),
                35..=600 => assert!(pulses.late().unwrap().contains("\"committer\""), "{second}"),
                _ => {}
            }
            if let Err(error) = looked {
                ended = Some((second, error.to_string()));
                break;
            }
        }
        let (second, message) = ended.expect("it ends");
        assert!((615..=625).contains(&second) && message.contains("committer"), "{second}: {message}");
    }

    #[test]
    fn a_process_that_was_stopped_for_a_day_finds_nobody_late() {
        let (pulses, mut watchdog) = (Pulses::default(), Watchdog::default());
        for second in [0, 1, 86_400, 86_401] {
            watchdog.look(&pulses, Duration::from_secs(second)).unwrap();
        }
        assert_eq!(pulses.late(), None);
        beat_but(&pulses, None);
        watchdog.look(&pulses, Duration::from_secs(86_402)).unwrap();
    }
}
