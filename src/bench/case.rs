//! What can be measured: one line per case. Pure.

use std::time::Duration;

/// Threads of the bare client, and connections of the engine to one endpoint.
pub(super) const CONNECTIONS: usize = 32;
/// About the size of a body on the wire.
pub(super) const BODY_BYTES: usize = 500;

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// As `--only` takes it.
    pub name: &'static str,
    /// As a person reads it.
    pub label: &'static str,
    /// Its part of the whole time.
    weight: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A client on bare sockets, without an engine.
    Floor,
    /// Events that wait in the spool when the clock starts.
    Backlog(Load),
    /// Events written one by one.
    Trickle { per_second: u64 },
    /// An engine with nothing to do.
    Idle,
}

/// Who gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub mode: &'static str,
    pub workers: usize,
    /// Endpoints that take events, one subscription each.
    pub endpoints: u64,
    /// Each event goes to all of them; otherwise to one, in turns.
    pub is_fan_out: bool,
    /// Further subscriptions, to types that never come.
    pub bystanders: u64,
}

pub(super) const ONE: Load =
    Load { mode: "at-least-once", workers: CONNECTIONS, endpoints: 1, is_fan_out: false, bystanders: 0 };
const MANY: Load = Load { workers: 512, ..ONE };

/// Every case, in the order they run and are shown.
pub const CASES: [Case; 8] = [
    Case { name: "floor", label: "bare sockets", weight: 2, kind: Kind::Floor },
    Case { name: "at-least-once", label: "at least once", weight: 4, kind: Kind::Backlog(ONE) },
    Case {
        name: "at-most-once",
        label: "at most once",
        weight: 4,
        kind: Kind::Backlog(Load { mode: "at-most-once", ..ONE }),
    },
    Case {
        name: "endpoints-100",
        label: "100 endpoints",
        weight: 3,
        kind: Kind::Backlog(Load { endpoints: 100, ..MANY }),
    },
    Case {
        name: "endpoints-1000",
        label: "1 000 endpoints",
        weight: 3,
        kind: Kind::Backlog(Load { endpoints: 1_000, ..MANY }),
    },
    Case {
        name: "subscriptions",
        label: "10 of 10 000 subscriptions",
        weight: 4,
        kind: Kind::Backlog(Load { endpoints: 10, is_fan_out: true, bystanders: 9_990, ..MANY }),
    },
    Case { name: "latency", label: "1 000 events/s, one by one", weight: 4, kind: Kind::Trickle { per_second: 1_000 } },
    Case { name: "idle", label: "idle", weight: 2, kind: Kind::Idle },
];

impl Case {
    /// Its part of `budget`, when `cases` run.
    pub(super) fn time(&self, cases: &[Case], budget: Duration) -> Duration {
        let all: u32 = cases.iter().map(|case| case.weight).sum();
        budget * self.weight / all.max(self.weight)
    }
}

impl Load {
    /// The type of the event with this number.
    pub(super) fn event_type(&self, number: u64) -> String {
        if self.is_fan_out { "order.updated".to_owned() } else { format!("to.e{}", number % self.endpoints) }
    }

    /// What the subscription with this number takes.
    pub(super) fn pattern(&self, subscription: u64) -> String {
        match subscription {
            bystander if bystander >= self.endpoints => format!("other{bystander}.changed"),
            _ if self.is_fan_out => "order.*".to_owned(),
            _ if self.endpoints == 1 => "**".to_owned(),
            endpoint => format!("to.e{endpoint}"),
        }
    }

    pub(super) fn subscriptions(&self) -> u64 {
        self.endpoints + self.bystanders
    }

    pub(super) fn deliveries_per_event(&self) -> u64 {
        if self.is_fan_out { self.endpoints } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_time_is_shared_out() {
        let budget = Duration::from_secs(120);
        let sum: Duration = CASES.iter().map(|case| case.time(&CASES, budget)).sum();
        assert!(budget - sum < Duration::from_micros(1), "{sum:?}");
        assert_eq!(CASES[0].time(&CASES[..1], budget), budget);
    }

    #[test]
    fn every_event_has_the_takers_it_should_have() {
        let cases = CASES.iter().filter_map(|case| match case.kind {
            Kind::Backlog(load) => Some(load),
            _ => None,
        });
        for load in cases {
            let takes = |pattern: &str, event_type: &str| match pattern.split_once('*') {
                Some((prefix, _)) => event_type.starts_with(prefix),
                None => event_type == pattern,
            };
            for number in [0, 1, 999, 12_345] {
                let event_type = load.event_type(number);
                let takers = (0..load.subscriptions()).filter(|at| takes(&load.pattern(*at), &event_type)).count();
                assert_eq!(takers as u64, load.deliveries_per_event(), "{load:?}");
            }
        }
    }
}
