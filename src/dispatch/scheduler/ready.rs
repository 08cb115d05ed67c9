//! Whose turn it is. Tenants take turns, and within a tenant its lanes do, so that one with a thousand subscriptions
//! gets no more of the workers than one with a single one.

use std::collections::{HashMap, VecDeque};

use crate::model::SubId;

/// Lanes that may have something to send.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Of each tenant that has any.
    lanes: HashMap<String, VecDeque<SubId>>,
    turns: VecDeque<String>,
    count: usize,
}

impl Ready {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, tenant: &str, sub: SubId) {
        self.count += 1;
        match self.lanes.get_mut(tenant) {
            Some(lanes) => lanes.push_back(sub),
            None => {
                self.lanes.insert(tenant.to_owned(), VecDeque::from([sub]));
                self.turns.push_back(tenant.to_owned());
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<SubId> {
        let tenant = self.turns.pop_front()?;
        let lanes = self.lanes.get_mut(&tenant)?;
        let sub = lanes.pop_front()?;
        self.count -= 1;
        if lanes.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
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
