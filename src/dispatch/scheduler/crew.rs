//! Who works for whom. Workers block, so an endpoint that does not answer takes one; what keeps it from taking more than
//! its share:
//!
//! - A worker that says it waits for its endpoint, or is not heard of for a while, is *waiting*, not *at work*: it costs a
//!   stack and no processor, and the endpoints that do answer get another one in its place.
//! - Endpoints that never answered yet (after a start, all of them) leave a part of the workers to those that did, and
//!   suspects share a smaller part still.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::dispatch::pace::Standing;
use crate::model::Timestamp;

/// For each worker that the operator allows at work, so many may wait.
const CREW_PER_WORKER: usize = 8;
/// More at work than this for each processor wait for it and not for endpoints.
const AT_WORK_PER_PROCESSOR: usize = 8;

/// How many workers there may be.
#[derive(Clone, Copy, Debug)]
pub struct CrewSize {
    pub at_work: usize,
    /// Those that wait included.
    pub all: usize,
}

impl CrewSize {
    /// `workers`: the setting.
    pub fn of(workers: usize, processors: usize) -> Self {
        let workers = workers.max(1);
        Self { at_work: workers.min(AT_WORK_PER_PROCESSOR * processors.max(1)), all: workers * CREW_PER_WORKER }
    }
}

/// A worker that is not heard of for so long waits, in a connect perhaps. Longer than a worker that has much to do may
/// have to wait for the processor.
const WAITING_AFTER: Duration = Duration::from_millis(200);

/// What a worker has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

struct Hand {
    standing: Standing,
    is_waiting: bool,
    heard: Timestamp,
}

/// The workers and what they have in hand.
pub(super) struct Crew {
    size: CrewSize,
    hands: HashMap<Ticket, Hand>,
    at_work: usize,
    /// Of the suspects, those that are at work.
    suspects_at_work: usize,
    unproven: usize,
    suspects: usize,
    /// When each began or was last looked at; those that have ended are passed over.
    begun: VecDeque<(Timestamp, Ticket)>,
    last: u64,
}

impl Crew {
    pub(super) fn new(size: CrewSize) -> Self {
        Self {
            size,
            hands: HashMap::new(),
            at_work: 0,
            suspects_at_work: 0,
            unproven: 0,
            suspects: 0,
            begun: VecDeque::new(),
            last: 0,
        }
    }

    pub(super) fn size(&self) -> CrewSize {
        self.size
    }

    pub(super) fn in_hand(&self) -> usize {
        self.hands.len()
    }

    /// Whether any endpoint may have a worker.
    pub(super) fn has_room(&self) -> bool {
        self.hands.len() < self.size.all && self.at_work < self.size.at_work
    }

    /// Whether an endpoint of this standing may have one.
    pub(super) fn has_room_for(&self, standing: Standing) -> bool {
        let share = |of: usize, quarters: usize| (of * quarters / 4).max(1);
        self.has_room()
            && match standing {
                Standing::Proven => true,
                Standing::Unproven => self.unproven + self.suspects < share(self.size.all, 3),
                Standing::Suspect => {
                    self.suspects < share(self.size.all, 1) && self.suspects_at_work < share(self.size.at_work, 1)
                }
            }
    }

    /// A worker begins.
    pub(super) fn begin(&mut self, standing: Standing, now: Timestamp) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        self.hands.insert(ticket, Hand { standing, is_waiting: false, heard: now });
        self.begun.push_back((now, ticket));
        self.at_work += 1;
        match standing {
            Standing::Proven => {}
            Standing::Unproven => self.unproven += 1,
            Standing::Suspect => {
                self.suspects += 1;
                self.suspects_at_work += 1;
            }
        }
        ticket
    }

    /// A worker is done.
    pub(super) fn end(&mut self, ticket: Ticket) {
        let Some(hand) = self.hands.remove(&ticket) else { return };
        if !hand.is_waiting {
            self.rest(hand.standing);
        }
        match hand.standing {
            Standing::Proven => {}
            Standing::Unproven => self.unproven -= 1,
            Standing::Suspect => self.suspects -= 1,
        }
        while self.begun.front().is_some_and(|(_, ticket)| !self.hands.contains_key(ticket)) {
            self.begun.pop_front();
        }
    }

    /// A worker tells something.
    pub(super) fn heard(&mut self, ticket: Ticket, waits: bool, now: Timestamp) {
        let Some(hand) = self.hands.get_mut(&ticket) else { return };
        hand.heard = now;
        if waits && !hand.is_waiting {
            hand.is_waiting = true;
            let standing = hand.standing;
            self.rest(standing);
        }
    }

    fn rest(&mut self, standing: Standing) {
        self.at_work -= 1;
        self.suspects_at_work -= usize::from(standing == Standing::Suspect);
    }

    /// Sees who has come to wait by `now`.
    pub(super) fn look(&mut self, now: Timestamp) {
        while let Some(&(began, ticket)) = self.begun.front() {
            if began.plus(WAITING_AFTER) > now && began <= now {
                return;
            }
            self.begun.pop_front();
            let Some(hand) = self.hands.get_mut(&ticket).filter(|hand| !hand.is_waiting) else { continue };
            if hand.heard > began && hand.heard <= now {
                let heard = hand.heard;
                self.begun.push_back((heard, ticket));
            } else {
                self.heard(ticket, true, now);
            }
        }
    }

    /// When the next one may come to wait.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.begun.front().map(|(began, _)| began.plus(WAITING_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn fill(crew: &mut Crew, standing: Standing, now: Timestamp) -> usize {
        (0..).take_while(|_| crew.has_room_for(standing).then(|| crew.begin(standing, now)).is_some()).count()
    }

    #[test]
    fn those_that_wait_make_room_for_others() {
        let mut crew = Crew::new(CrewSize::of(64, 8));
        assert_eq!(fill(&mut crew, Standing::Unproven, NOW), 64);
        assert!(!crew.has_room_for(Standing::Proven));
        let later = crew.next_look().unwrap();
        crew.look(later);
        assert_eq!(fill(&mut crew, Standing::Proven, later), 64);
        crew.look(later.plus(WAITING_AFTER));
        assert_eq!(crew.in_hand(), 128);
        assert!(crew.has_room());
    }

    #[test]
    fn a_quarter_is_left_to_those_that_answer_and_suspects_have_a_quarter() {
        let mut crew = Crew::new(CrewSize::of(16, 8));
        let mut now = NOW;
        let mut begun = |crew: &mut Crew, standing| {
            let begun: Vec<_> = (0..8)
                .map(|_| {
                    now = now.plus(WAITING_AFTER);
                    crew.look(now);
                    fill(crew, standing, now)
                })
                .collect();
            begun
        };
        assert_eq!(begun(&mut crew, Standing::Suspect), [4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!(begun(&mut crew, Standing::Unproven), [16, 16, 16, 16, 0, 0, 0, 0]);
        assert_eq!(begun(&mut crew, Standing::Proven), [16, 16, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fill(&mut Crew::new(CrewSize::of(1, 8)), Standing::Suspect, NOW), 1);
    }

    #[test]
    fn the_bound_holds_however_many_wait() {
        let mut crew = Crew::new(CrewSize::of(10, 8));
        let mut now = NOW;
        let mut tickets = Vec::new();
        while crew.has_room() {
            while crew.has_room() {
                tickets.push(crew.begin(Standing::Proven, now));
            }
            now = now.plus(WAITING_AFTER);
            crew.look(now);
        }
        assert_eq!(crew.in_hand(), 80);
        tickets.into_iter().for_each(|ticket| crew.end(ticket));
        assert_eq!((crew.in_hand(), crew.at_work, crew.begun.len()), (0, 0, 0));
    }
}
