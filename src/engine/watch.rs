//! Housekeeping, once a second: loads the configuration again when it changed on disk, closes connections that nobody
//! uses, and lets old history go.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::ailing::ailing;
use super::control::{end_overlaps, look, reload, sum_up};
use super::doubt::Doubt;
use super::messages::{Entry, LaneCommand, Then};
use super::running::{Shared, lock};
use super::watchdog::{BEAT, Who};
use super::withdraw::forget;
use crate::admin::NewChange;
use crate::admin::api::ReloadReport;
use crate::model::{SubId, Timestamp};
use crate::store::{DeliveryKey, Record};

const LOOK: Duration = BEAT;

/// What the housekeeping thread is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HouseOrder {
    Reload,
    Stop,
}

type Marks = BTreeMap<PathBuf, (u64, u64, i64, i64)>;

fn mark(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

/// What the configuration's files look like: the files it was read from, and whatever lies in `conf.d`.
fn marks(shared: &Shared) -> Marks {
    let config = shared.config();
    let conf_d = shared.config_path.as_deref().and_then(Path::parent).map(|dir| dir.join("conf.d"));
    let beside = conf_d.and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let all = config.files.iter().cloned().chain(beside.map(|entry| entry.path()));
    all.filter_map(|path| mark(&path).map(|mark| (path, mark))).collect()
}

/// Whether the files were written after they were loaded: for `status`.
pub(super) fn changed_since(shared: &Shared, loaded: Timestamp) -> bool {
    marks(shared).values().any(|(_, _, seconds, nanos)| seconds * 1000 + nanos / 1_000_000 > loaded.0)
}

/// History is pruned every so many looks.
const LOOKS_PER_PRUNE: u64 = 60;

/// Rounds of forgetting per prune, so that housekeeping stays short.
const ROUNDS_MAX: usize = 20;

/// Lets history go that is over its limits, and the rows that speak of attempts before `began` or over the age.
fn prune(shared: &Shared, began: &mut Timestamp) -> Result<(), Doubt> {
    let history = shared.config().delivery.history;
    let now = shared.ages_now();
    let before = now.minus(history.age);
    let over = shared.state.history_over(history.size)?;
    *began = before.max(over.unwrap_or(*began)).max(*began);
    let _ = shared.entries.send(Entry::new(Vec::new(), Then::Prune { bytes_max: history.size, before }));
    for _ in 0..ROUNDS_MAX {
        let reserve = |key: DeliveryKey| {
            // Without a lane nobody replays it.
            let reserved = shared.ask(move |scheduler| scheduler.reserve(key) || !scheduler.has(key.sub));
            reserved.unwrap_or(false)
        };
        let (records, unchanged) = forget(&shared.state, *began, now, reserve)?;
        for key in unchanged {
            shared.ask(move |scheduler| scheduler.release(key));
        }
        if records.is_empty() || shared.commit(records, Then::Nothing).is_err() {
            break;
        }
    }
    Ok(())
}

/// Warns of subscriptions that do nothing but fail, and pauses them in the end.
fn look_after_the_ailing(shared: &Shared, warned: &mut BTreeSet<SubId>) {
    let Some(after) = shared.config().delivery.pause_failing_after else { return };
    let found = ailing(&shared.state.ledger(), after, warned);
    let name = |sub: SubId| {
        let configured = lock(&shared.routing).subscriptions.clone();
        configured.get(&sub).map(|found| found.name.clone()).unwrap_or_default()
    };
    for (sub, warning) in found.warn {
        tracing::warn!(subscription = name(sub), "{warning}");
    }
    for (sub, reason) in found.pause {
        let record = Record::Paused { sub, reason: reason.clone(), at: shared.clock.now() };
        let _ = shared.commit(vec![record], Then::Lanes(vec![LaneCommand::Pause { sub, reason }]));
    }
}

/// A reload that no request asked for is written down here.
fn record_reload(shared: &Shared, report: &ReloadReport) {
    let change = NewChange {
        by: "engine".to_owned(),
        thing: "configuration".to_owned(),
        after: Some(serde_json::json!({"message": report.message})),
        ..NewChange::default()
    };
    if let Err(error) = shared.door.changes.record(change) {
        tracing::error!(%error, "the reload could not be recorded");
    }
}

/// Runs until told to stop. A file that is still being written is loaded once it held still for one look.
pub(super) fn keep_house(shared: &Shared, orders: &Receiver<HouseOrder>) -> Result<(), Doubt> {
    let mut loaded = marks(shared);
    let mut last = loaded.clone();
    let mut looks = 0;
    let mut began = Timestamp(i64::MIN);
    let mut warned = BTreeSet::new();
    loop {
        let is_wanted = match orders.recv_timeout(LOOK) {
            Ok(HouseOrder::Reload) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Ok(HouseOrder::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        shared.pulses.beat(Who::Housekeeping);
        shared.transport().close_idle();
        shared.room.hold();
        sum_up(shared);
        looks += 1;
        if looks % LOOKS_PER_PRUNE == 1 {
            look(shared);
        }
        if looks % LOOKS_PER_PRUNE == 0 {
            prune(shared, &mut began)?;
        }
        look_after_the_ailing(shared, &mut warned);
        end_overlaps(shared);
        let seen = marks(shared);
        if is_wanted || (seen != loaded && seen == last) {
            let report = reload(shared);
            if report.applied {
                record_reload(shared, &report);
                tracing::info!("{}", report.message);
            } else {
                tracing::error!("{}\n{}", report.message, report.problems_text);
            }
            loaded = seen.clone();
        }
        last = seen;
    }
}
