//! Which deliveries of a lane wait for which: those of one key go out one after the other, in the order of the log. Pure.
//!
//! ```text
//!   of each key   in hand   one delivery: on its way, or its outcome is not durable yet
//!                 rows      deliveries that were tried and are tried again
//!                 held      events behind them: outstanding in their lane, so the log keeps them
//! ```
//!
//! The next of a key is taken in hand when the outcome before it is durable, so that no crash repeats an older delivery
//! after a newer one. What is held has no row: after a start it is read from the log again, behind the rows that are left.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Parked;
use crate::model::{Event, OrderKey, Seq, Subscription};
use crate::store::DeliveryFacts;
use crate::wire::Pointer;

/// Events that a lane holds behind others; with so many it looks no further until some have gone. Few in tests, so that the
/// simulation comes to it.
const HELD_EVENTS_MAX: usize = if cfg!(test) { 6 } else { 4096 };
const HELD_BYTES_MAX: usize = 8 << 20;
/// Keys that wait for a retry; with so many it looks no further either.
const ROWS_MAX: usize = if cfg!(test) { 12 } else { 16_384 };

/// Which delivery of a lane: the event's number, and the number of its replay.
pub type RowKey = (Seq, u32);

/// A delivery that waits for another attempt, or for its turn.
#[derive(Debug, Default)]
pub struct Row {
    /// What to say of it should a newer state take its place; only where that may happen.
    pub facts: Option<Box<DeliveryFacts>>,
    /// It is due, and another of its key is in hand.
    due: Option<Box<Parked>>,
}

#[derive(Debug, Default)]
struct Turn {
    in_hand: Option<RowKey>,
    /// Skipped deliveries of which that is not durable yet: a newer state must not be sent before, or a crash brings them
    /// back behind it.
    skips: usize,
    rows: BTreeMap<RowKey, Row>,
    held: VecDeque<Arc<Event>>,
}

/// What takes the place of nothing: a delivery that a newer state of its key makes pointless.
#[derive(Debug)]
pub enum Skipped {
    Event(Arc<Event>),
    Row(RowKey, Box<DeliveryFacts>),
}

/// What became durable.
#[derive(Clone, Copy, Debug)]
pub enum Decided {
    /// The outcome of the delivery in hand.
    InHand(RowKey),
    /// The end of one that was skipped.
    Skip,
}

/// What is next of a key; it is in hand from now on.
#[derive(Debug)]
pub enum Next {
    Event(Arc<Event>),
    Row(Box<Parked>),
    Nothing,
}

/// The order of one lane.
pub struct Order {
    by: By,
    /// While deliveries of a key wait, only the newest of them is sent.
    supersedes: bool,
    turns: HashMap<OrderKey, Turn>,
    /// The keys of rows, and of what is in hand.
    keys: HashMap<RowKey, OrderKey>,
    held: usize,
    held_bytes: usize,
    rows: usize,
}

struct By {
    text: String,
    pointer: Option<Pointer>,
}

impl By {
    fn of(subscription: &Subscription) -> Option<Self> {
        let text = subscription.order_by.clone()?;
        let pointer = Pointer::parse(&text);
        Some(Self { text, pointer })
    }

    /// The setting is part of the hash: keys of another setting are other keys.
    fn key(&self, event: &Event) -> Option<OrderKey> {
        let text;
        let value = match &self.pointer {
            None => event.key.as_deref()?.as_bytes(),
            // However a text is escaped, it is the same key; of anything else the spelling counts.
            Some(pointer) => match pointer.find(&event.line)? {
                string @ [b'"', ..] => {
                    text = serde_json::from_slice::<String>(string).ok()?;
                    text.as_bytes()
                }
                other => other,
            },
        };
        let digest = Sha256::new().chain_update(&self.text).chain_update([0]).chain_update(value).finalize();
        Some(OrderKey(u128::from_be_bytes(digest[..16].try_into().expect("a digest has 32 bytes"))))
    }
}

/// The key that an event's deliveries to `subscription` are kept in order by, if there is one.
pub fn order_key(subscription: &Subscription, event: &Event) -> Option<OrderKey> {
    By::of(subscription)?.key(event)
}

impl Order {
    /// The order that a subscription asks for.
    pub fn of(subscription: &Subscription) -> Option<Self> {
        Some(Self {
            by: By::of(subscription)?,
            supersedes: subscription.supersede,
            turns: HashMap::new(),
            keys: HashMap::new(),
            held: 0,
            held_bytes: 0,
            rows: 0,
        })
    }

    /// Whether it is the order that `subscription` asks for.
    pub fn is_of(&self, subscription: &Subscription) -> bool {
        subscription.order_by.as_ref() == Some(&self.by.text)
    }

    pub fn set_supersedes(&mut self, supersedes: bool) {
        self.supersedes = supersedes;
    }

    pub fn key(&self, event: &Event) -> Option<OrderKey> {
        self.by.key(event)
    }

    /// Events held.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn is_full(&self) -> bool {
        self.held >= HELD_EVENTS_MAX || self.held_bytes >= HELD_BYTES_MAX || self.rows >= ROWS_MAX
    }

    /// The next event of the log, which has this key. `true`: it may go. `is_changing`: a row's state is not in the view
    /// yet, or it is on its way; such rows are not skipped.
    pub fn arrive(
        &mut self,
        key: OrderKey,
        event: &Arc<Event>,
        is_changing: impl Fn(&RowKey) -> bool,
    ) -> (bool, Vec<Skipped>) {
        let turn = self.turns.entry(key).or_default();
        let own = (event.seq, 0);
        let is_first = turn.rows.keys().next().is_none_or(|row| *row > own);
        if turn.in_hand.is_none() && turn.skips == 0 && turn.held.is_empty() && is_first {
            turn.in_hand = Some(own);
            self.keys.insert(own, key);
            return (true, Vec::new());
        }
        let mut skipped = Vec::new();
        if self.supersedes {
            self.held -= turn.held.len();
            self.held_bytes -= turn.held.iter().map(|event| event.line.len()).sum::<usize>();
            skipped.extend(turn.held.drain(..).map(Skipped::Event));
            for (row, waits) in turn.rows.range_mut(..own) {
                let is_skipped = waits.due.is_some() || !is_changing(row);
                let Some(facts) = waits.facts.take_if(|_| is_skipped) else { continue };
                waits.due = None;
                skipped.push(Skipped::Row(*row, facts));
            }
        }
        turn.skips += skipped.len();
        turn.held.push_back(event.clone());
        self.held += 1;
        self.held_bytes += event.line.len();
        (false, skipped)
    }

    /// A delivery has a row and waits there.
    pub fn park(&mut self, key: OrderKey, row: RowKey, facts: &DeliveryFacts) {
        let kept = self.supersedes.then(|| Box::new(facts.clone()));
        *self.row(key, row) = Row { facts: kept, due: None };
    }

    fn row(&mut self, key: OrderKey, row: RowKey) -> &mut Row {
        self.keys.insert(row, key);
        let rows = &mut self.turns.entry(key).or_default().rows;
        self.rows += usize::from(!rows.contains_key(&row));
        rows.entry(row).or_default()
    }

    /// A row waits in the view.
    pub fn note(&mut self, key: OrderKey, row: RowKey) {
        self.row(key, row);
    }

    /// Whether a newer state takes the place of a row that waits: what to say of it, then.
    pub fn overtaken(&mut self, row: RowKey) -> Option<Box<DeliveryFacts>> {
        let turn = self.keys.get(&row).and_then(|key| self.turns.get_mut(key))?;
        let is_overtaken = self.supersedes && turn.held.back().is_some_and(|event| (event.seq, 0) > row);
        turn.rows.get_mut(&row).filter(|_| is_overtaken)?.facts.take()
    }

    /// As [`overtaken`](Self::overtaken), of a row whose own commit is durable: the key waits until the skip is.
    pub fn overtaken_later(&mut self, row: RowKey) -> Option<Skipped> {
        let facts = self.overtaken(row)?;
        if let Some(turn) = self.keys.get(&row).and_then(|key| self.turns.get_mut(key)) {
            turn.skips += 1;
        }
        Some(Skipped::Row(row, facts))
    }

    /// A row is gone, or waits for nothing any more. Returns its key if that has nothing in hand: the next may follow.
    pub fn gone(&mut self, row: RowKey) -> Option<OrderKey> {
        let key = *self.keys.get(&row)?;
        let turn = self.turns.get_mut(&key)?;
        self.rows -= usize::from(turn.rows.remove(&row).is_some());
        if turn.in_hand != Some(row) {
            self.keys.remove(&row);
        }
        turn.in_hand.is_none().then_some(key)
    }

    /// A row that has come due: it is handed back if it may go, and is in hand then. Otherwise it waits for its turn.
    pub fn admit(&mut self, parked: Parked) -> Option<Parked> {
        let Some(key) = parked.row.facts.order else { return Some(parked) };
        let row = (parked.key.seq, parked.key.replay);
        self.row(key, row).due = Some(Box::new(parked));
        let turn = self.turns.get(&key)?;
        let is_behind = turn.held.front().is_some_and(|event| event.seq < row.0);
        let is_first = turn.rows.keys().next() == Some(&row);
        if turn.in_hand.is_some() || is_behind || !is_first {
            return None;
        }
        match self.next(key) {
            Next::Row(parked) => Some(*parked),
            Next::Event(_) | Next::Nothing => None,
        }
    }

    /// The key of a delivery that is in hand or has a row.
    pub fn key_of(&self, row: RowKey) -> Option<OrderKey> {
        self.keys.get(&row).copied()
    }

    /// The delivery of a key that `row` waits for: the one in hand, or the oldest before it.
    pub fn ahead_of(&self, key: OrderKey, row: RowKey) -> Option<RowKey> {
        let turn = self.turns.get(&key)?;
        let first = turn.rows.keys().next().copied();
        let held = turn.held.front().map(|event| (event.seq, 0));
        let oldest = first.into_iter().chain(held).min().filter(|oldest| *oldest < row);
        turn.in_hand.filter(|in_hand| *in_hand != row).or(oldest)
    }

    /// Whether a due row waits here for its turn.
    pub fn keeps_waiting(&self, row: RowKey) -> bool {
        let turn = self.keys.get(&row).and_then(|key| self.turns.get(key));
        turn.and_then(|turn| turn.rows.get(&row)).is_some_and(|row| row.due.is_some())
    }

    /// Whether an event is held behind others.
    pub fn holds(&self, seq: Seq) -> bool {
        self.turns.values().any(|turn| turn.held.iter().any(|event| event.seq == seq))
    }

    /// What was decided about a delivery is durable.
    pub fn settle(&mut self, key: OrderKey, decided: Decided) -> Next {
        let Some(turn) = self.turns.get_mut(&key) else { return Next::Nothing };
        match decided {
            Decided::InHand(row) => {
                turn.in_hand = turn.in_hand.filter(|in_hand| *in_hand != row);
                if !turn.rows.contains_key(&row) {
                    self.keys.remove(&row);
                }
            }
            Decided::Skip => turn.skips = turn.skips.saturating_sub(1),
        }
        self.next(key)
    }

    /// Takes the next of a key in hand: the older of the first row, if that is due, and the first event held.
    pub fn next(&mut self, key: OrderKey) -> Next {
        let is_free = |turn: &&mut Turn| turn.in_hand.is_none() && turn.skips == 0;
        let Some(turn) = self.turns.get_mut(&key).filter(is_free) else { return Next::Nothing };
        let held = turn.held.front().map(|event| (event.seq, 0));
        if let Some(mut first) = turn.rows.first_entry().filter(|first| held.is_none_or(|held| held > *first.key())) {
            let waits = first.get_mut();
            let Some(parked) = waits.due.take() else { return Next::Nothing };
            waits.facts = None;
            turn.in_hand = Some((parked.key.seq, parked.key.replay));
            return Next::Row(parked);
        }
        let Some(event) = turn.held.pop_front() else {
            self.turns.remove(&key);
            return Next::Nothing;
        };
        self.held -= 1;
        self.held_bytes -= event.line.len();
        turn.in_hand = Some((event.seq, 0));
        self.keys.insert((event.seq, 0), key);
        Next::Event(event)
    }

    /// Puts a row that was handed out back: its lane may not send.
    pub fn put_back(&mut self, parked: &Parked) {
        let row = (parked.key.seq, parked.key.replay);
        let Some(turn) = self.keys.get(&row).and_then(|key| self.turns.get_mut(key)) else { return };
        turn.in_hand = turn.in_hand.filter(|in_hand| *in_hand != row);
        if let Some(waits) = turn.rows.get_mut(&row).filter(|_| self.supersedes) {
            waits.facts = Some(Box::new(parked.row.facts.clone()));
        }
    }

    /// Takes out a due row that waits for its turn; `false`: it does not.
    pub fn take_waiting(&mut self, row: RowKey) -> bool {
        let turn = self.keys.get(&row).and_then(|key| self.turns.get_mut(key));
        turn.and_then(|turn| turn.rows.get_mut(&row)).is_some_and(|row| row.due.take().is_some())
    }

    /// Takes out an event that is held; `false`: it is not.
    pub fn drop_held(&mut self, seq: Seq) -> bool {
        for turn in self.turns.values_mut() {
            if let Some(at) = turn.held.iter().position(|event| event.seq == seq) {
                let dropped = turn.held.remove(at);
                self.held -= 1;
                self.held_bytes -= dropped.map_or(0, |event| event.line.len());
                return true;
            }
        }
        false
    }

    /// Takes out the due rows that wait for their turn.
    pub fn take_due(&mut self) -> Vec<Parked> {
        let rows = self.turns.values_mut().flat_map(|turn| turn.rows.values_mut());
        rows.filter_map(|row| row.due.take()).map(|parked| *parked).collect()
    }

    /// Takes out the events that are held, by number.
    pub fn take_held(&mut self) -> Vec<Arc<Event>> {
        (self.held, self.held_bytes) = (0, 0);
        let mut held: Vec<_> = self.turns.values_mut().flat_map(|turn| turn.held.drain(..)).collect();
        held.sort_unstable_by_key(|event| event.seq);
        held
    }
}
