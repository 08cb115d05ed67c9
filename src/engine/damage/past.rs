//! What lay on disk when the damage was done, and what had been sent by then.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::engine::stepped::{Answer, START, Seen, Stepped};
use crate::engine::tests::{event, subscription};
use crate::env::Clock;
use crate::model::{Mode, Subscription, Timestamp};
use crate::store::Limits;

/// How the engine ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// In the middle of its work, with claims in flight, long after its last checkpoint.
    Killed,
    /// As it should, with a checkpoint.
    Clean,
    /// Before it ever wrote a checkpoint.
    KilledEarly,
}

/// A spool and a state as an engine left them.
pub struct Past {
    pub stop: Stop,
    pub dir: TempDir,
    /// Older copies of the state, the oldest first.
    pub older: Vec<TempDir>,
    pub seen: Vec<Seen>,
    pub events: u32,
    pub ended: Timestamp,
}

pub const AT_LEAST_ONCE: [&str; 3] = ["oms", "bills", "slow"];
pub const AT_MOST_ONCE: &str = "orders";

/// `oms` retries soon, `bills` never, `slow` after more than two days; `orders` is at-most-once.
pub fn subscriptions() -> Vec<Subscription> {
    let named = |name: &str, mode, waits: &[u64]| {
        let dialect = if mode == Mode::AtMostOnce { "carbon" } else { "standard" };
        let mut subscription = subscription(name, dialect, mode, waits);
        if mode == Mode::AtMostOnce {
            subscription.secrets.clear();
        }
        subscription
    };
    vec![
        named("oms", Mode::AtLeastOnce, &[5]),
        named("bills", Mode::AtLeastOnce, &[]),
        named("slow", Mode::AtLeastOnce, &[200_000]),
        named(AT_MOST_ONCE, Mode::AtMostOnce, &[]),
    ]
}

/// Which event for which subscription a request carried.
pub fn delivery_of(seen: &Seen) -> (String, u32) {
    let body = String::from_utf8_lossy(&seen.request.body);
    let digits = body.split_once(r#""n":"#).expect("every event has a number").1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap();
    (seen.subscription.clone(), digits[..end].parse().unwrap())
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every third delivery or so meets something else than a success.
fn moody(seed: u64) -> crate::engine::stepped::Choose {
    let mut random = fastrand::Rng::with_seed(seed);
    Box::new(move |subscription| match random.u32(0..20) {
        0..2 => Answer::Status(500),
        2 => Answer::Refused,
        3..5 if subscription == AT_MOST_ONCE => Answer::Reset,
        5 => Answer::RetryAfter(429, "30"),
        _ => Answer::Status(200),
    })
}

/// Journal files of some twenty records.
pub const LIMITS: Limits = Limits { ledger_records: 20_000, checkpoint_records: 400_000, journal_file_bytes: 6000 };

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Maker {
    engine: Stepped,
    state: PathBuf,
    events: u32,
    older: Vec<TempDir>,
}

impl Maker {
    /// Some events, in segments of a few.
    fn take_in(&mut self, count: u32) {
        for _ in 0..count {
            self.events += 1;
            self.engine.produce(&event(self.events));
            if self.events.is_multiple_of(4) {
                self.pass(2);
            }
        }
        self.pass(10);
    }

    fn pass(&mut self, seconds: u64) {
        self.engine.clock.advance(Duration::from_secs(seconds));
        self.engine.settle();
    }

    fn put_away(&mut self) {
        (0..4).for_each(|_| self.pass(1));
        self.engine.keep_house(DAY, 1000 * DAY);
    }

    /// Dies, leaves a copy of the state, and starts again.
    fn remember(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        self.engine.crash_while(|| copy_dir(&self.state, copy.path()));
        self.older.push(copy);
        self.engine.settle();
    }
}

impl Past {
    pub fn make(stop: Stop) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = Stepped::start_at(dir.path(), subscriptions(), &[], START, LIMITS).unwrap();
        *engine.receiver.choose.lock().unwrap() = Some(moody(stop as u64));
        let mut maker = Maker { engine, state: dir.path().join("state"), events: 0, older: Vec::new() };
        maker.take_in(20);
        maker.put_away();
        maker.remember();
        if stop != Stop::KilledEarly {
            maker.engine.state().checkpoint().unwrap();
            maker.pass(25 * 3600);
            maker.put_away();
            maker.take_in(16);
            maker.engine.state().checkpoint().unwrap();
        }
        maker.take_in(12);
        maker.put_away();
        maker.remember();
        maker.take_in(16);
        maker.engine.state().store_ledger().unwrap();
        maker.take_in(12);
        match stop {
            Stop::Clean => maker.engine.state().checkpoint().unwrap(),
            Stop::Killed | Stop::KilledEarly => {
                maker.engine.hold_sends = true;
                maker.take_in(5);
            }
        }
        let seen = maker.engine.seen();
        let ended = maker.engine.clock.now();
        assert!(ended > START && !seen.is_empty());
        Self { stop, older: maker.older, seen, events: maker.events, ended, dir }
    }
}
