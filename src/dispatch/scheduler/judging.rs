//! What comes in: matched events, outcomes, rows that were read, and what became durable.

use std::sync::Arc;
use std::time::Duration;

use super::Scheduler;
use super::facts::facts;
use crate::dispatch::order::{Decided, Next};
use crate::dispatch::outcome::{Judgement, is_endpoint_trouble};
use crate::dispatch::retry::next_attempt;
use crate::dispatch::{Action, Done, Feed, Parked, Ran};
use crate::model::{Event, Mode, SubId, Timestamp};
use crate::store::{DeliveryKey, End, Origin, Record, RowNotice, Verdict};

/// Longest time a receiver can ask for quiet.
const QUIET_MAX: Duration = Duration::from_secs(3600);

impl<T> Scheduler<T> {
    pub(super) fn feed(&mut self, feed: Feed) {
        // A batch that only moves the cursors of logs brings no event, and no number.
        self.tail = self.tail.max(feed.next_seq);
        for (index, sub) in feed.matches {
            let (Some(lane), Some(event)) = (self.lanes.get_mut(&sub), feed.events.get(index as usize)) else {
                continue;
            };
            lane.offer(event);
            self.wake(sub);
        }
    }

    pub(super) fn ran(&mut self, ran: Ran<T>, now: Timestamp, random: u64) {
        let Ran { sub, mode, ticket, done, unsent, freed, count, waits, is_cut, ended } = ran;
        self.in_hand = self.in_hand.saturating_sub(done.len() + unsent.len());
        if ended {
            self.crew.end(ticket);
        } else {
            self.crew.heard(ticket, waits, now);
        }
        if mode == Mode::AtMostOnce && !unsent.is_empty() {
            let key = |event: &Arc<Event>| DeliveryKey { sub, seq: event.seq, replay: 0 };
            self.commit(unsent.iter().map(|event| Record::Released { key: key(event) }).collect(), None);
        }
        if let Some(lane) = self.lanes.get_mut(&sub) {
            lane.pace.freed(freed);
            lane.ran(count, unsent, ended && !is_cut);
        }
        self.wake(sub);
        done.into_iter().for_each(|done| self.judge(done, now, random));
    }

    fn judge(&mut self, done: Done<T>, now: Timestamp, random: u64) {
        let Done { job, attempt, judgement, retry_after } = done;
        let sub = job.key.sub;
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        let stood = lane.pace.standing();
        lane.pace.ended(judgement == Judgement::Delivered, is_endpoint_trouble(attempt.outcome), now);
        let stands = lane.pace.standing();
        if let Some(wait) = retry_after
            && matches!(attempt.exchange.status_code, Some(429 | 503))
        {
            lane.pace.quiet(now.plus(wait.min(QUIET_MAX)));
        }
        let verdict = match judgement {
            Judgement::Delivered => Verdict::Delivered,
            Judgement::Unknown => Verdict::Unknown,
            Judgement::Gone => Verdict::Failed,
            Judgement::Failed if job.subscription.mode == Mode::AtMostOnce => Verdict::Failed,
            Judgement::Failed => {
                let failed = job.number.saturating_sub(job.base);
                match next_attempt(&job.subscription.retry, failed, now, retry_after, random) {
                    Some(due) => Verdict::Retry { due, at: now },
                    None => Verdict::Failed,
                }
            }
        };
        let from = match job.origin {
            Origin::Log => lane.settle(job.key.seq),
            Origin::Parked => job.key.seq,
        };
        if job.origin == Origin::Log && verdict != Verdict::Delivered {
            lane.retrying.insert((job.key.seq, job.key.replay));
        }
        let gone = judgement == Judgement::Gone && lane.paused.is_none() && !lane.pausing;
        let low = lane.low(self.tail);
        let row = (job.key.seq, job.key.replay);
        let order = lane.order_of(row);
        let facts = facts(&job.event, job.delivery, order);
        let mut overtaken = None;
        if let (Verdict::Retry { .. }, Some(of), Some(order)) = (verdict, order, &mut lane.order) {
            order.park(of, row, &facts);
            overtaken = order.overtaken(row);
        }
        let mut records = vec![Record::Attempted {
            key: job.key,
            origin: job.origin,
            facts,
            attempt,
            verdict,
            base: job.base,
            replay_of: job.replay_of,
            from,
            low,
        }];
        if let Some(facts) = overtaken {
            let (key, end) = (job.key, End::Superseded);
            records.push(Record::Ended { key, origin: Origin::Parked, facts: *facts, end, from, low, at: now });
        }
        if gone {
            let reason = "the receiver answered 410 Gone: it does not want these events any more".to_owned();
            records.push(Record::Paused { sub, reason: reason.clone(), at: now });
            // Not paused before that is durable: somebody's resuming has its place in the journal before or after it.
            lane.pausing = true;
            lane.give_back();
            self.commits += 1;
            self.decided += 1;
            self.actions.push(Action::Pause { sub, reason, records });
        } else {
            self.commit(records, None);
        }
        self.settle_later(job.key);
        if stood != stands {
            self.unstall(sub);
        }
        self.wake(sub);
    }

    /// What was decided about a delivery in hand, last of all, lets the next of its key go once it is durable.
    pub(super) fn settle_later(&mut self, key: DeliveryKey) {
        let row = (key.seq, key.replay);
        if let Some(order) = self.lanes.get(&key.sub).and_then(|lane| lane.order_of(row)) {
            self.settling.push_back((self.decided, key.sub, order, Decided::InHand(row)));
        }
    }

    /// Keys go on whose decisions have become durable.
    pub(super) fn settle(&mut self) {
        let durable = self.decided - self.commits as u64;
        while let Some((_, sub, key, what)) = self.settling.front().copied().filter(|(decided, ..)| *decided <= durable)
        {
            self.settling.pop_front();
            if let Some(lane) = self.lanes.get_mut(&sub)
                && let Some(order) = &mut lane.order
            {
                let next = order.settle(key, what);
                lane.follow(next);
            }
            self.wake(sub);
        }
    }

    pub(super) fn due_read(&mut self, sub: SubId, rows: Vec<Parked>, next_due: Option<Timestamp>) {
        let Some(lane) = self.lanes.get_mut(&sub) else { return };
        lane.take_due(rows, next_due);
        if !lane.may_send() {
            lane.give_back();
        }
        self.wake(sub);
    }

    pub(super) fn notice(&mut self, notice: RowNotice, now: Timestamp) {
        let Some(lane) = self.lanes.get_mut(&notice.key.sub) else { return };
        let row = (notice.key.seq, notice.key.replay);
        lane.row_changed(row, notice.due);
        match (&mut lane.order, notice.due, notice.order) {
            (Some(order), Some(_), Some(key)) => {
                order.note(key, row);
                // It came while the row was being written.
                lane.skipped.extend(order.overtaken_later(row));
            }
            (Some(order), None, _) => {
                let next = order.gone(row).map_or(Next::Nothing, |key| order.next(key));
                lane.follow(next);
            }
            _ => {}
        }
        self.write_down(notice.key.sub, now);
        self.wake(notice.key.sub);
    }
}
