//! One trial: a copy of a past, damage, a start, and what came of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, Once};
use std::thread::ThreadId;
use std::time::Duration;

use super::past::{AT_LEAST_ONCE, AT_MOST_ONCE, LIMITS, Past, copy_dir, delivery_of, subscriptions};
use crate::engine::stepped::{Seen, Stepped};
use crate::engine::tests::event;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a trial that kept its promises went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing was amiss that the engine had to speak of.
    Unnoticed,
    /// It said what it found, and everything was delivered or kept.
    Mended,
    /// Records are gone that nothing but the history needed, and the audit says so.
    HistoryLost,
    /// Deliveries are gone, and it said so.
    LossReported,
    /// It would not start, and said what to do.
    Refused,
}

/// What panicked, and in which thread.
static PANICS: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

fn panics_here() -> Vec<String> {
    let here = std::thread::current().id();
    let mut all = PANICS.lock().unwrap();
    let (ours, others) = std::mem::take(&mut *all).into_iter().partition(|(thread, _)| *thread == here);
    *all = others;
    Vec::into_iter(ours).map(|(_, text)| text).collect()
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.lock().unwrap().push((std::thread::current().id(), panic.to_string()));
            usual(panic);
        }));
    });
}

/// Everything that happened in one trial.
struct Aftermath {
    seen: Vec<Seen>,
    events: u32,
    notices: Vec<String>,
    differences: Vec<String>,
    kept: BTreeMap<(String, u32), u32>,
    dropped: u64,
}

/// Starts an engine over a damaged copy of `past` and lets it run to its end, twice. `Err` says which promise broke.
pub fn judge(past: &Past, damage: impl FnOnce(&Path)) -> Result<Verdict, String> {
    count_panics();
    let dir = tempfile::tempdir().unwrap();
    copy_dir(past.dir.path(), dir.path());
    damage(dir.path());
    panics_here();
    let ran = catch_unwind(AssertUnwindSafe(|| run(past, dir.path())));
    let panics = panics_here();
    let ran = ran.map_err(|_| "it panicked".to_owned());
    if !panics.is_empty() {
        return Err(format!("panicked: {}", panics.join("; ")));
    }
    match ran? {
        Ok(aftermath) => weigh(past, &aftermath),
        Err(refusal) => {
            let says_what_to_do = refusal.contains("estore") || refusal.contains("remove");
            if says_what_to_do { Ok(Verdict::Refused) } else { Err(format!("refused without advice: {refusal}")) }
        }
    }
}

fn run(past: &Past, root: &Path) -> Result<Aftermath, String> {
    let now = past.ended.plus(Duration::from_secs(60));
    let mut engine = Stepped::start_at(root, subscriptions(), &[], now, LIMITS).map_err(|error| error.to_string())?;
    let notices = engine.notices();
    engine.settle();
    let events = past.events + 3;
    (past.events + 1..=events).for_each(|n| engine.produce(&event(n)));
    engine.clock.advance(Duration::from_secs(1));
    engine.run_out();
    engine.keep_house(DAY, 1000 * DAY);
    engine.crash();
    engine.run_out();
    let mut kept = BTreeMap::new();
    let ledger = engine.ledger();
    for (sub, lane) in &ledger.lanes {
        for row in engine.reader().view.exceptions(*sub) {
            let id = row.unwrap().1.facts.event_id;
            *kept.entry((lane.name.clone(), id[1..].parse().unwrap())).or_default() += 1;
        }
    }
    let dropped = ledger.lanes.values().map(|lane| lane.books.dropped).sum();
    Ok(Aftermath { seen: engine.seen(), events, notices, differences: engine.differences(), kept, dropped })
}

fn weigh(past: &Past, after: &Aftermath) -> Result<Verdict, String> {
    let mut taken = BTreeMap::<(String, u32), u32>::new();
    let mut sent = BTreeMap::<u32, u32>::new();
    for seen in past.seen.iter().chain(&after.seen) {
        let (sub, n) = delivery_of(seen);
        if sub == AT_MOST_ONCE {
            *sent.entry(n).or_default() += 1;
        }
        if seen.taken {
            *taken.entry((sub, n)).or_default() += 1;
        }
    }
    if let Some((n, times)) = sent.iter().find(|(_, times)| **times > 1) {
        return Err(format!("e{n} was sent {times} times at most once; notices {:?}", after.notices));
    }
    let is_missing = |key: &(String, u32)| !taken.contains_key(key) && !after.kept.contains_key(key);
    let missing: Vec<_> = AT_LEAST_ONCE
        .iter()
        .flat_map(|sub| (1..=after.events).map(|n| ((*sub).to_owned(), n)))
        .filter(is_missing)
        .collect();
    let spoken = !after.notices.is_empty();
    if missing.is_empty() {
        let of_history = |sentence: &String| sentence.starts_with("journal:");
        return match (&after.differences[..], spoken) {
            ([], false) => Ok(Verdict::Unnoticed),
            ([], true) => Ok(Verdict::Mended),
            (differences, false) if differences.iter().all(of_history) => Ok(Verdict::HistoryLost),
            (differences, true) if differences.iter().all(of_history) => Ok(Verdict::Mended),
            (differences, _) => Err(format!("the books: {differences:?}; notices {:?}", after.notices)),
        };
    }
    if spoken && (after.dropped > 0 || !after.differences.is_empty()) {
        return Ok(Verdict::LossReported);
    }
    Err(format!("lost in silence: {missing:?}; notices {:?}; differences {:?}", after.notices, after.differences))
}
