//! Endpoints that do nothing but fail, for days: a warning first, then a pause, which keeps the events.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{SubId, Timestamp};
use crate::store::{AttemptCounters, Ledger};

/// What is to be done about subscriptions whose attempts have all failed for some time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ailing {
    /// Half the time has gone by.
    pub warn: Vec<(SubId, String)>,
    pub pause: Vec<(SubId, String)>,
}

/// How long attempts have been made and all of them failed.
fn failing_for(counters: &AttemptCounters) -> Option<(Timestamp, Duration)> {
    let since = counters.failing_since?;
    Some((since, counters.last_error_at?.since(since)))
}

/// The subscriptions of `ledger` whose attempts have all failed over `after`, and over half of it. `warned` are those that
/// a warning was given for; it is brought up to date.
pub fn ailing(ledger: &Ledger, after: Duration, warned: &mut BTreeSet<SubId>) -> Ailing {
    let mut found = Ailing::default();
    for (sub, lane) in &ledger.lanes {
        let failing = failing_for(&lane.counters).filter(|_| lane.paused.is_none() && lane.removed.is_none());
        let Some((since, time)) = failing.filter(|(_, time)| *time >= after / 2) else {
            warned.remove(sub);
            continue;
        };
        let last = lane.counters.last_error.map_or("failure", |outcome| outcome.as_str());
        if time >= after {
            let reason = format!(
                "every attempt since {since} has failed (last: {last}); the events are kept. Resume it when the receiver is \
                 well; [delivery] pause_failing_after says after how long this is done"
            );
            found.pause.push((*sub, reason));
        } else if warned.insert(*sub) {
            let warning = format!(
                "every attempt since {since} has failed (last: {last}); it is paused at about {} if that goes on",
                since.plus(after)
            );
            found.warn.push((*sub, warning));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Filter, Outcome};
    use crate::store::Record;

    const HOUR: Duration = Duration::from_secs(3600);
    const BEGAN: Timestamp = Timestamp(1_773_309_600_000);

    fn ledger(failing: Option<(Timestamp, Timestamp)>) -> Ledger {
        let mut ledger = Ledger::new();
        let filter = Filter { tenant: "default".into(), events: vec!["**".into()], condition: None };
        let (tenant, name) = ("default".to_owned(), "oms".to_owned());
        let record = Record::Subscribed { sub: SubId(1), tenant, name, filter, from_seq: 1, matched: 0, at: BEGAN };
        ledger.apply(1, &record);
        let counters = &mut ledger.lanes.get_mut(&SubId(1)).unwrap().counters;
        counters.failing_since = failing.map(|(since, _)| since);
        counters.last_error_at = failing.map(|(_, last)| last);
        counters.last_error = Some(Outcome::Refused);
        ledger
    }

    #[test]
    fn it_warns_once_then_pauses_and_says_since_when() {
        let mut warned = BTreeSet::new();
        let after = HOUR * 10;
        let at = |hours: u32| ledger(Some((BEGAN, BEGAN.plus(HOUR * hours))));
        assert_eq!(ailing(&at(4), after, &mut warned), Ailing::default());
        let first = ailing(&at(5), after, &mut warned);
        assert!(first.pause.is_empty() && first.warn[0].1.contains("2026-03-12T"), "{first:?}");
        assert_eq!(ailing(&at(6), after, &mut warned), Ailing::default(), "once");
        let last = ailing(&at(10), after, &mut warned);
        assert!(last.warn.is_empty() && last.pause[0].1.contains("refused"), "{last:?}");
        assert_eq!(ailing(&ledger(None), after, &mut warned), Ailing::default());
        assert!(!ailing(&at(5), after, &mut warned).warn.is_empty(), "it was well in between");
    }

    #[test]
    fn one_failure_long_ago_is_no_reason() {
        let quiet = ledger(Some((BEGAN, BEGAN)));
        assert_eq!(ailing(&quiet, HOUR, &mut BTreeSet::new()), Ailing::default());
    }

    #[test]
    fn what_is_paused_or_gone_is_left_alone() {
        let mut ledger = ledger(Some((BEGAN, BEGAN.plus(HOUR * 10))));
        ledger.apply(2, &Record::Paused { sub: SubId(1), reason: "by hand".into(), at: BEGAN });
        assert_eq!(ailing(&ledger, HOUR, &mut BTreeSet::new()), Ailing::default());
        ledger.apply(3, &Record::Resumed { sub: SubId(1), at: BEGAN });
        assert_eq!(ailing(&ledger, HOUR, &mut BTreeSet::new()), Ailing::default(), "resuming begins anew");
    }
}
