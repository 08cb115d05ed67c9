//! What must always hold, seen from outside: what producers wrote, what receivers got, and what the journal says of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use super::disk::{Disk, Which};
use super::machine::{Take, Taken, spool};
use super::receivers::Transmission;
use crate::model::{Position, Seq, SubId, Timestamp};
use crate::store::{End, Ledger, Record, Verdict};

/// One line that a producer wrote.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    /// It is an event; otherwise it belongs into quarantine.
    pub is_event: bool,
    /// The producer was told that it is durable.
    pub synced: bool,
    /// It must be accounted for. An unsynced line that nobody has seen loses this in a power cut.
    pub sure: bool,
    pub taken: u32,
    /// Where it was taken in, and under which number.
    pub position: Option<Position>,
    pub seq: Seq,
    /// The lanes that took it, as bits.
    pub takers: u8,
}

/// A lane as the judge knows it.
#[derive(Clone, Debug)]
pub struct LaneRules {
    pub at_most_once: bool,
    /// From this event on, deliveries of a key come in the order of the log.
    pub ordered_from: Option<Seq>,
    pub waits: Vec<Duration>,
}

/// One delivery, as its receiver saw it.
#[derive(Debug, Default)]
struct Sent {
    lane: usize,
    event: String,
    /// Per attempt number: how often, whether a 2xx was answered, when last.
    attempts: BTreeMap<u32, (u32, bool, Duration)>,
}

/// Everything that was seen.
#[derive(Default)]
pub struct Judge {
    pub lines: BTreeMap<String, Line>,
    pub rules: Vec<LaneRules>,
    sent: HashMap<u128, Sent>,
    /// Deliveries of each event in each lane.
    deliveries: HashMap<(usize, String), Vec<u128>>,
    /// At-most-once deliveries that people asked to be made again.
    pub replays: HashMap<(usize, String), u32>,
    /// The newest event of each key that a lane was sent.
    newest: HashMap<(usize, String), Seq>,
    /// Deliveries that people asked to be tried again.
    pub asked: HashSet<u128>,
    /// Deliveries whose schedule somebody began anew.
    retriggered: HashSet<u128>,
    transmissions: usize,
    /// Events of a commit whose end is not known.
    pub about_to_take: Taken,
    /// Schedules are in monotonic time only while nobody sets the wall clock.
    pub wall_was_set: bool,
    /// A failed sync dropped bytes.
    pub drops: bool,
    /// The state was lost: lines are taken in again.
    pub amnesia: bool,
    pub reached: BTreeMap<&'static str, u64>,
}

impl Judge {
    pub fn new(rules: Vec<LaneRules>) -> Self {
        Self { rules, ..Self::default() }
    }

    pub fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    /// Number of transmissions looked at so far.
    pub fn looked_at(&self) -> usize {
        self.transmissions
    }

    /// A transmission happened.
    pub fn transmitted(&mut self, transmission: &Transmission, disk: &Disk) -> Result<(), String> {
        self.transmissions += 1;
        let Transmission { lane, delivery, attempt, event, status, at } = transmission;
        let what = format!("event {} to lane {lane}", event.id);
        let line = self.lines.get_mut(event.id.as_str()).ok_or_else(|| format!("{what}: no producer wrote it"))?;
        if line.text.as_bytes() != &*event.line {
            return Err(format!("{what}: its bytes are not what the producer wrote"));
        }
        if !is_kept(disk, event.position, &event.line, Which::Durable) {
            return Err(format!("{what} was sent, and a power cut now would take it out of the spool"));
        }
        line.sure = true;
        let key = (*lane, event.id.to_string());
        let known = self.deliveries.entry(key.clone()).or_default();
        if !known.contains(delivery) {
            known.push(*delivery);
        }
        let allowed = 1 + self.replays.get(&key).copied().unwrap_or(0) as usize;
        if known.len() > allowed {
            return Err(format!("{what}: {} deliveries with ids of their own, {allowed} are right", known.len()));
        }
        let rules = &self.rules[*lane];
        let is_asked_for = self.asked.contains(delivery) || self.replays.contains_key(&key);
        if rules.ordered_from.is_some_and(|from| event.seq >= from)
            && let Some(of) = &event.key
        {
            let newest = self.newest.entry((*lane, of.to_string())).or_default();
            if event.seq < *newest && !is_asked_for {
                return Err(format!(
                    "{what} was sent after number {newest} of the same key, and is number {}",
                    event.seq
                ));
            }
            *newest = event.seq.max(*newest);
        }
        let sent = self.sent.entry(*delivery).or_default();
        (sent.lane, sent.event) = (*lane, event.id.to_string());
        if rules.at_most_once && !sent.attempts.is_empty() {
            return Err(format!("{what} was transmitted twice, at most once is promised"));
        }
        if let Some((_, _, before)) = sent.attempts.get(&attempt.wrapping_sub(1))
            && let Some(wait) = rules.waits.get(*attempt as usize - 2)
            && !self.wall_was_set
            && !self.retriggered.contains(delivery)
            && !sent.attempts.contains_key(attempt)
            && *at < *before + *wait
        {
            return Err(format!(
                "{what}: attempt {attempt} came {:?} after the one before, not {wait:?}",
                *at - *before
            ));
        }
        let entry = sent.attempts.entry(*attempt).or_insert((0, false, *at));
        *entry = (entry.0 + 1, entry.1 || status.is_some_and(|status| status < 300), *at);
        if entry.0 > 1 {
            self.reach("attempt repeated after a crash");
        }
        Ok(())
    }

    /// Whether a receiver answered 2xx to an attempt of this delivery.
    fn was_accepted(&self, delivery: u128, attempt: u32) -> bool {
        self.sent.get(&delivery).and_then(|sent| sent.attempts.get(&attempt)).is_some_and(|seen| seen.1)
    }

    /// Whether the receiver of `lane` has answered 2xx to the event at least once.
    pub fn was_delivered(&self, lane: usize, event: &str) -> bool {
        let deliveries = self.deliveries.get(&(lane, event.to_owned())).into_iter().flatten();
        deliveries.filter_map(|id| self.sent.get(id)).any(|sent| sent.attempts.values().any(|seen| seen.1))
    }

    /// A delivery of `lane`, or all of them, needs no further account: it was ended on purpose.
    fn excuse(&mut self, lane: Option<usize>, which: impl Fn(&str, &Line) -> bool) {
        let bit = lane.map_or(0, |lane| 1 << lane);
        let ended = self.lines.iter_mut().filter(|(id, line)| which(id, line));
        ended.for_each(|(_, line)| line.takers &= !bit);
    }

    /// Records are on their way that end deliveries on purpose; whether they arrive is not known if the engine dies. `lane_of`
    /// finds the lane of a subscription.
    pub fn ending(&mut self, records: &[Record], lane_of: &dyn Fn(SubId) -> Option<usize>) {
        for record in records {
            match record {
                Record::Ended { key, facts, .. } => self.excuse(lane_of(key.sub), |id, _| id == facts.event_id),
                Record::Withdrawn { sub, .. } => self.excuse(lane_of(*sub), |_, _| true),
                Record::Forgotten { key, .. } => self.excuse(lane_of(key.sub), |_, line| line.seq == key.seq),
                _ => {}
            }
        }
    }

    /// Records became durable.
    pub fn recorded(&mut self, records: &[Record]) -> Result<(), String> {
        for record in records {
            match record {
                Record::Attempted { facts, attempt, verdict, .. } => {
                    let delivery = u128::from_be_bytes(facts.delivery);
                    if *verdict == Verdict::Delivered && !self.was_accepted(delivery, attempt.number) {
                        let (event, number) = (&facts.event_id, attempt.number);
                        return Err(format!(
                            "event {event} counts as delivered by attempt {number}; no receiver took it"
                        ));
                    }
                    self.reach(match verdict {
                        Verdict::Delivered if attempt.number > 1 => "delivered by a retry",
                        Verdict::Delivered => "delivered at once",
                        Verdict::Retry { .. } => "retry parked",
                        Verdict::Failed => "failed",
                        Verdict::Unknown => "unknown made",
                    });
                    if matches!(verdict, Verdict::Failed) && attempt.number > 2 {
                        self.reach("retries exhausted");
                    }
                }
                Record::Ended { end: End::Cancelled, .. } => self.reach("cancelled"),
                Record::Ended { key, facts, end: End::Superseded, .. } => {
                    self.reach("superseded");
                    self.check_superseded(&facts.event_id, key.seq)?;
                }
                Record::Withdrawn { .. } => self.reach("withdrawn"),
                Record::Forgotten { .. } => self.reach("forgotten with the history"),
                Record::Ended { .. } => self.reach("ended without an attempt"),
                Record::Purged { .. } => self.reach("segment purged"),
                Record::Paused { .. } => self.reach("paused"),
                Record::Retriggered { row, .. } => {
                    self.retriggered.insert(u128::from_be_bytes(row.facts.delivery));
                    self.reach("retriggered");
                }
                Record::Replayed { .. } => self.reach("replayed as a new delivery"),
                Record::Released { .. } => self.reach("claim released"),
                Record::Unsubscribed { .. } => self.reach("subscription removed"),
                _ => {}
            }
        }
        Ok(())
    }

    /// The place of a delivery is taken by a newer state of its key, and by nothing else.
    fn check_superseded(&self, event: &str, seq: Seq) -> Result<(), String> {
        let key_of = |line: &Line| line.text.split("\"key\":\"").nth(1).map(|rest| rest[..2].to_owned());
        let own = self.lines.get(event).and_then(key_of);
        let is_newer = |line: &&Line| line.seq > seq && line.taken > 0 && key_of(line) == own;
        match self.lines.values().find(is_newer) {
            Some(_) => Ok(()),
            None => Err(format!("event {event} was skipped, and there is no newer one of its key")),
        }
    }

    /// A lane's order changes: what it promises holds from the event `from` on.
    pub fn reordered(&mut self, lane: usize, from: Option<Seq>) {
        self.rules[lane].ordered_from = from;
        self.newest.retain(|(of, _), _| *of != lane);
    }

    /// No line was ever taken in (or all of it was forgotten).
    pub fn nothing_taken(&self) -> bool {
        self.about_to_take.is_empty() && self.lines.values().all(|line| line.taken == 0)
    }

    /// The engine starts with this ledger: of a commit that was interrupted it knows all or nothing.
    pub fn started(&mut self, ledger: &Ledger) -> Result<(), String> {
        self.about_to_take.retain(|take| take.seq < ledger.next_seq);
        self.took_all()
    }

    /// What was about to be taken in is taken in, durably.
    pub fn took_all(&mut self) -> Result<(), String> {
        for Take { id, takers, position, seq, is_rejected } in std::mem::take(&mut self.about_to_take) {
            let Some(line) = self.lines.get_mut(&id) else {
                // A torn line is set aside, and has no id that can be read.
                if is_rejected {
                    continue;
                }
                return Err(format!("event {id} was taken in; no producer wrote it"));
            };
            // Of a line that was torn, or that no producer was sure of, this may be a part.
            if is_rejected && (line.is_event || !line.sure) {
                continue;
            }
            if !line.is_event && !is_rejected {
                return Err(format!("{id} is no event, and was taken for one"));
            }
            line.taken += 1;
            line.sure = true;
            let before = line.position.replace(position);
            line.seq = seq;
            line.takers |= takers;
            if line.taken > 1 && line.is_event && !self.amnesia {
                return Err(format!("event {id} was taken in twice: at {before:?} and {position:?}"));
            }
        }
        Ok(())
    }

    /// The state was lost: what lies in the spool is taken in again, by those who are configured then. What retention has
    /// removed is not.
    pub fn forgot(&mut self, disk: &Disk) {
        self.amnesia = true;
        self.newest.clear();
        self.about_to_take.clear();
        for line in self.lines.values_mut() {
            (line.taken, line.takers) = (0, 0);
            line.sure &=
                line.position.is_none_or(|position| is_kept(disk, position, line.text.as_bytes(), Which::Live));
        }
    }

    /// The power went: what was not synced and not seen may be gone.
    pub fn power_went(&mut self) {
        for line in self.lines.values_mut() {
            line.sure &= line.synced
                || line.taken > 0
                || (line.sure && self.sent.values().any(|sent| sent.event == id_of(&line.text)));
        }
    }

    /// Books that can be right: no count above what was matched.
    pub fn books(ledger: &Ledger) -> Result<(), String> {
        for lane in ledger.lanes.values() {
            let books = lane.books;
            let ended =
                books.delivered + books.failed + books.unknown + books.cancelled + books.expired + books.dropped;
            if ended + lane.parked > books.matched {
                return Err(format!("\"{}\": {books:?} and {} parked do not add up", lane.name, lane.parked));
            }
        }
        Ok(())
    }

    /// At rest, with everything healed: every line is where it belongs. `rows`: per lane, the events that have a row, with
    /// its number of attempts since the schedule began, and whether it ended for good.
    pub fn at_rest(&self, rows: &[HashMap<String, (u32, bool)>], quarantine: &str) -> Result<(), String> {
        for (id, line) in self.lines.iter().filter(|(_, line)| line.sure) {
            if !line.is_event {
                let dropped = self.drops && line.taken == 0;
                if !dropped && !quarantine.contains(&line.text) {
                    return Err(format!("the rejected line {id} is not in quarantine"));
                }
                continue;
            }
            if line.taken == 0 {
                // The kernel dropped it before anybody had synced it.
                if self.drops && !line.synced {
                    continue;
                }
                return Err(format!(
                    "event {id} was accepted and never taken in; before, it was at {:?}",
                    line.position
                ));
            }
            for lane in (0..self.rules.len()).filter(|lane| line.takers & (1 << lane) != 0) {
                let row = rows[lane].get(id);
                if self.was_delivered(lane, id) {
                    continue;
                }
                match row {
                    None => {
                        return Err(format!("event {id} of lane {lane} is lost: not delivered, and no row tells why"));
                    }
                    Some((attempts, gone)) => {
                        let wanted = self.rules[lane].waits.len() as u32 + 1;
                        if !self.rules[lane].at_most_once && !gone && *attempts < wanted {
                            return Err(format!(
                                "event {id} of lane {lane} gave up after {attempts} of {wanted} attempts"
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The id in a line that the world wrote.
fn id_of(text: &str) -> &str {
    text.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

/// Whether a line that was taken in at `position` is in the spool: in its segment, or kept apart from it.
fn is_kept(disk: &Disk, position: Position, line: &[u8], which: Which) -> bool {
    let segment = position.segment.to_string();
    let offset = usize::try_from(position.offset).unwrap_or(usize::MAX);
    let archive = spool().join("archive");
    let mut dirs: Vec<PathBuf> = disk.dirs_in(&archive, which);
    dirs.push(spool().join("claimed"));
    dirs.iter().any(|dir| disk.holds(dir, &segment, Some(offset), line, which))
        || disk.holds(&archive.join("remnants"), &segment, None, line, which)
}

/// The day on which every run begins.
pub const START: Timestamp = Timestamp(1_773_309_600_000);
