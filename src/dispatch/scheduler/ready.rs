//! Whose turn it is. Tenants take turns, and within a tenant its lanes do, so that one with a thousand subscriptions
//! gets no more of the workers than one with a single one.

use std::collections::{HashMap, VecDeque};

use crate::model::SubId;

/// Lanes that may have something to send.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Where in `lanes` those of a tenant are.
    tenants: HashMap<String, usize>,
    lanes: Vec<VecDeque<SubId>>,
    /// The tenants that have any, in the order of their turns.
    turns: VecDeque<usize>,
    /// Of all tenants, since it is asked for each job.
    count: usize,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, tenant: &str, sub: SubId) {
        let at = self.tenants.get(tenant).copied().unwrap_or_else(|| {
            self.tenants.insert(tenant.to_owned(), self.lanes.len());
            self.lanes.push(VecDeque::new());
            self.lanes.len() - 1
        });
        if self.lanes[at].is_empty() {
            self.turns.push_back(at);
        }
        self.lanes[at].push_back(sub);
        self.count += 1;
    }

    pub(super) fn pop(&mut self) -> Option<SubId> {
        let at = self.turns.pop_front()?;
        let sub = self.lanes[at].pop_front()?;
        self.count -= 1;
        if !self.lanes[at].is_empty() {
            self.turns.push_back(at);
        }
        Some(sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_take_turns_and_so_do_their_lanes() {
        let mut ready = Ready::default();
        (1..=3).for_each(|sub| ready.push("many", SubId(sub)));
        ready.push("one", SubId(9));
        let order: Vec<u32> = std::iter::from_fn(|| ready.pop()).map(|sub| sub.0).collect();
        assert_eq!((order, ready.len()), (vec![1, 9, 2, 3], 0));
        let mut got = [0; 10];
        (1..=3).for_each(|sub| ready.push("many", SubId(sub)));
        ready.push("one", SubId(9));
        for _ in 0..60 {
            let sub = ready.pop().unwrap();
            got[sub.0 as usize] += 1;
            ready.push(if sub.0 == 9 { "one" } else { "many" }, sub);
        }
        assert_eq!(got, [0, 10, 10, 10, 0, 0, 0, 0, 0, 30]);
    }
}
