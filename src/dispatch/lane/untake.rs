//! Taking an event out of a lane before its first attempt, wherever it waits.

use super::{Lane, Reach};
use crate::model::Seq;

/// Whether an event waited that somebody wants to take out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untaken {
    /// It did, and this is where it began.
    From(Seq),
    /// A worker has it, or it was judged.
    InHand,
}

impl<T> Lane<T> {
    /// Takes out an event that waits for its first attempt: whoever asked ends it.
    pub fn untake(&mut self, seq: Seq) -> Untaken {
        let is_unexamined = matches!(self.reach, Reach::Behind(next) if seq >= next);
        let from = if let Some(at) = self.waiting.iter().position(|(event, _)| event.seq == seq) {
            self.waiting.remove(at).map(|(event, from)| {
                self.waiting_bytes -= event.line.len();
                from
            })
        } else if let Some(at) = self.returned.iter().position(|event| event.seq == seq) {
            self.returned.remove(at).map(|event| self.settle(event.seq))
        } else if let Some(at) = self.rearranged.iter().position(|event| event.seq == seq) {
            self.rearranged.remove(at).map(|event| self.settle(event.seq))
        } else if self.order.as_mut().is_some_and(|order| order.drop_held(seq)) {
            Some(self.settle(seq))
        } else {
            (is_unexamined && !self.passed_before.contains(&seq)).then_some(seq)
        };
        let Some(from) = from else { return Untaken::InHand };
        // The log may be read again from before it.
        self.passed_before.insert(seq..seq + 1);
        Untaken::From(from)
    }
}
