//! Lines that would repeat themselves: the first few of a kind are told, the others are counted and summed up.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Outcome, SubId};

/// A kind begins anew after this.
const WINDOW: Duration = Duration::from_secs(10);
/// Lines of one kind that are told within it.
const TOLD: u32 = 10;

/// What the failures of one subscription have in common.
pub type Kind = (SubId, Outcome);

/// How many lines of each kind there were lately.
#[derive(Debug, Default)]
pub struct Repeats(BTreeMap<Kind, Window>);

#[derive(Clone, Copy, Debug)]
struct Window {
    begun: Duration,
    count: u32,
}

impl Repeats {
    /// Whether a line of this kind is told; `now` is monotonic.
    pub fn tells(&mut self, kind: Kind, now: Duration) -> bool {
        let window = self.0.entry(kind).or_insert(Window { begun: now, count: 0 });
        window.count = window.count.saturating_add(1);
        window.count <= TOLD
    }

    /// The kinds whose time is up, each with how many lines were left out.
    pub fn over(&mut self, now: Duration) -> Vec<(Kind, u32)> {
        let mut over = Vec::new();
        self.0.retain(|kind, window| {
            let is_over = now.saturating_sub(window.begun) >= WINDOW;
            if is_over && window.count > TOLD {
                over.push((*kind, window.count - TOLD));
            }
            !is_over
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_told_and_the_rest_is_summed_up() {
        let mut repeats = Repeats::default();
        let kind = (SubId(1), Outcome::Refused);
        let told = (0..412).filter(|_| repeats.tells(kind, Duration::ZERO)).count();
        assert_eq!(told, 10);
        assert!(repeats.tells((SubId(1), Outcome::Dns), Duration::ZERO), "another kind");
        assert_eq!(repeats.over(Duration::from_secs(9)), []);
        assert_eq!(repeats.over(Duration::from_secs(10)), [(kind, 402)]);
        assert!(repeats.tells(kind, Duration::from_secs(11)), "it begins anew");
    }
}
