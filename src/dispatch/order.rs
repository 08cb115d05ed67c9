//! Which deliveries of a lane wait for which: those of one key go out one after the other, in the order of the log. Pure.
//!
//! ```text
//!   of each key   in hand   one delivery: on its way, or its outcome is not durable yet
//!                 held      events behind it, in memory, while that is a matter of moments
//!                 rows      deliveries that are parked: tried before, or put off behind one that was
//! ```
//!
//! The next of a key is taken in hand when the outcome before it is durable, so that no crash repeats an older delivery
//! after a newer one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::model::{Event, OrderKey, Seq, Subscription, Timestamp};
use crate::store::{DeliveryFacts, IN_TURN, Ordered};

/// Events held in memory behind others; more of them are put off.
const HELD_MAX: usize = 256;

/// Which delivery of a lane: the event's number, and the number of its replay.
pub type RowKey = (Seq, u32);

/// The key that an event's deliveries to `subscription` are kept in order by, if there is one.
pub fn order_key(subscription: &Subscription, event: &Event) -> Option<OrderKey> {
    let text = match subscription.order_by.as_deref()? {
        "key" => event.key.clone()?,
        pointer => serde_json::from_slice::<serde_json::Value>(&event.line).ok()?.pointer(pointer)?.to_string(),
    };
    let digest = Sha256::digest(text.as_bytes());
    Some(OrderKey(u128::from_be_bytes(digest[..16].try_into().expect("a digest has 32 bytes"))))
}

/// A row that waits for its turn.
#[derive(Debug)]
struct Row {
    due: Timestamp,
    /// It was due and had to wait for another: no read of due rows brings it again.
    passed_over: bool,
    /// Of a delivery that was never tried: what to say of it should a newer state take its place.
    untried: Option<Box<DeliveryFacts>>,
}

#[derive(Debug, Default)]
struct Turn {
    in_hand: bool,
    held: VecDeque<Arc<Event>>,
    rows: BTreeMap<RowKey, Row>,
}

/// A delivery whose place a newer state of its key takes.
#[derive(Debug)]
pub enum Skipped {
    Event(Arc<Event>),
    Row(RowKey, Box<DeliveryFacts>),
}

/// What becomes of an event that is next in the log.
#[derive(Debug, Default)]
pub struct Arrival {
    /// It may go out.
    pub goes: Option<Arc<Event>>,
    /// It gets a row and waits there.
    pub put_off: Option<(Arc<Event>, OrderKey)>,
    pub skipped: Vec<Skipped>,
}

/// What is next of a key.
#[derive(Debug)]
pub enum Next {
    Event(Arc<Event>),
    /// A row that waited for its turn only.
    Row(OrderKey, RowKey),
    /// A row that was passed over and is to be found by its due time again.
    Due(RowKey, Timestamp),
    /// Nothing now.
    Nothing,
}

/// The order of one lane.
#[derive(Debug, Default)]
pub struct Order {
    supersede: bool,
    turns: HashMap<OrderKey, Turn>,
    /// The key of each row.
    keys: HashMap<RowKey, OrderKey>,
    held: usize,
    /// Keys of which the next may be taken in hand.
    ready: VecDeque<OrderKey>,
    /// Rows wait until everything in the log up to here was looked at: an older event of their key may lie there.
    gate: Option<Seq>,
}

impl Order {
    /// With the rows that wait from before. `unread` is the first event of the log that was not looked at.
    pub fn new(supersede: bool, rows: Ordered, unread: Option<Seq>) -> Self {
        let mut order = Self { supersede, ..Self::default() };
        let newest = rows.iter().map(|(_, row, _)| row.0).max();
        order.gate = newest.filter(|newest| unread.is_some_and(|unread| unread <= *newest));
        for (key, row, due) in rows {
            order.insert(key, row, Row { due, passed_over: false, untried: None });
            order.wake(key);
        }
        order
    }

    pub fn set_supersede(&mut self, supersede: bool) {
        self.supersede = supersede;
    }

    /// Events held in memory.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn has_ready(&self) -> bool {
        self.gate.is_none() && !self.ready.is_empty()
    }

    /// Everything in the log below `unread` was looked at.
    pub fn looked_at(&mut self, unread: Seq) {
        if self.gate.is_some_and(|gate| unread > gate) {
            self.gate = None;
        }
    }

    fn insert(&mut self, key: OrderKey, row: RowKey, waits: Row) {
        self.keys.insert(row, key);
        self.turns.entry(key).or_default().rows.insert(row, waits);
    }

    fn wake(&mut self, key: OrderKey) {
        self.ready.push_back(key);
    }

    /// The next event of the log, which has this key.
    pub fn arrive(&mut self, key: OrderKey, event: Arc<Event>) -> Arrival {
        let turn = self.turns.entry(key).or_default();
        let is_first = turn.rows.keys().next().is_none_or(|row| row.0 > event.seq);
        if !turn.in_hand && turn.held.is_empty() && is_first {
            turn.in_hand = true;
            return Arrival { goes: Some(event), ..Arrival::default() };
        }
        let mut arrival = Arrival::default();
        if self.supersede {
            self.held -= turn.held.len();
            arrival.skipped.extend(turn.held.drain(..).map(Skipped::Event));
            let untried = turn.rows.iter_mut().filter(|(row, _)| row.0 < event.seq);
            arrival.skipped.extend(untried.filter_map(|(row, waits)| Some(Skipped::Row(*row, waits.untried.take()?))));
            for skipped in &arrival.skipped {
                if let Skipped::Row(row, _) = skipped {
                    turn.rows.remove(row);
                    self.keys.remove(row);
                }
            }
        }
        if turn.rows.is_empty() && self.held < HELD_MAX {
            turn.held.push_back(event);
            self.held += 1;
        } else {
            arrival.put_off = Some((event, key));
        }
        arrival
    }

    /// An event gets a row of its own.
    pub fn put_off(&mut self, key: OrderKey, seq: Seq, facts: DeliveryFacts) {
        let row = Row { due: IN_TURN, passed_over: false, untried: Some(Box::new(facts)) };
        self.insert(key, (seq, 0), row);
    }

    /// The delivery in hand failed and waits for another attempt. Returns the events behind it, which are put off.
    pub fn park(&mut self, key: OrderKey, row: RowKey, due: Timestamp) -> VecDeque<Arc<Event>> {
        self.insert(key, row, Row { due, passed_over: false, untried: None });
        let turn = self.turns.entry(key).or_default();
        let held = std::mem::take(&mut turn.held);
        self.held -= held.len();
        held
    }

    /// A row waits no longer: its delivery has ended, or somebody ended it.
    pub fn end(&mut self, row: RowKey) {
        let Some(key) = self.keys.remove(&row) else { return };
        if let Some(turn) = self.turns.get_mut(&key) {
            turn.rows.remove(&row);
            self.wake(key);
        }
    }

    /// What was decided about the delivery in hand is durable.
    pub fn settle(&mut self, key: OrderKey) {
        if let Some(turn) = self.turns.get_mut(&key) {
            turn.in_hand = false;
            self.wake(key);
        }
    }

    /// A row is in the view as it is now.
    pub fn note(&mut self, key: OrderKey, row: RowKey, due: Timestamp) {
        self.keys.insert(row, key);
        let rows = &mut self.turns.entry(key).or_default().rows;
        let known = rows.entry(row).or_insert(Row { due, passed_over: false, untried: None });
        (known.due, known.passed_over) = (due, false);
        self.wake(key);
    }

    /// Whether a row that has come due may be taken in hand; it is, then.
    pub fn admit(&mut self, key: OrderKey, row: RowKey, due: Timestamp) -> bool {
        self.keys.insert(row, key);
        let turn = self.turns.entry(key).or_default();
        let known = turn.rows.entry(row).or_insert(Row { due, passed_over: false, untried: None });
        known.passed_over = true;
        let is_first = turn.rows.keys().next() == Some(&row) && turn.held.front().is_none_or(|event| event.seq > row.0);
        if turn.in_hand || !is_first || self.gate.is_some() {
            return false;
        }
        turn.in_hand = true;
        true
    }

    /// A row that was taken in hand is put back: its lane may not send.
    pub fn put_back(&mut self, key: OrderKey, row: RowKey) {
        if let Some(known) = self.turns.get_mut(&key).and_then(|turn| turn.rows.get_mut(&row)) {
            known.passed_over = false;
        }
        self.settle(key);
    }

    /// Whether a newer state of the key waits that takes the place of this row.
    pub fn is_superseded(&self, key: OrderKey, row: RowKey) -> bool {
        let newer =
            |turn: &Turn| !turn.held.is_empty() || turn.rows.keys().next_back().is_some_and(|last| last.0 > row.0);
        self.supersede && self.turns.get(&key).is_some_and(newer)
    }

    /// What can be taken in hand next. `is_changing`: the row's state is not in the view yet.
    pub fn next(&mut self, is_changing: impl Fn(&RowKey) -> bool) -> Next {
        while self.gate.is_none() {
            let Some(key) = self.ready.pop_front() else { break };
            let Some(turn) = self.turns.get_mut(&key) else { continue };
            if turn.in_hand {
                continue;
            }
            let held = turn.held.front().map(|event| event.seq);
            let row = turn.rows.iter_mut().next().filter(|(row, _)| held.is_none_or(|held| held > row.0));
            match row {
                Some((row, waits)) if waits.passed_over => {
                    waits.passed_over = false;
                    return Next::Due(*row, waits.due);
                }
                // Whoever changes it says so in the end.
                Some((row, _)) if is_changing(row) => {}
                Some((row, waits)) if waits.due == IN_TURN => {
                    turn.in_hand = true;
                    waits.untried = None;
                    return Next::Row(key, *row);
                }
                Some(_) => {}
                None => match turn.held.pop_front() {
                    Some(event) => {
                        self.held -= 1;
                        turn.in_hand = true;
                        return Next::Event(event);
                    }
                    None => drop(self.turns.remove(&key)),
                },
            }
        }
        Next::Nothing
    }
}
