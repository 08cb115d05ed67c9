//! The engine's threads as steps of the world, and what people ask of the engine.

use std::collections::HashSet;
use std::sync::Arc;

use super::machine::Machine;
use super::mistakes::Mistake;
use super::world::{Lane, World, is_ordered};
use crate::engine::doubt::Doubt;
use crate::engine::intake::count_past;
use crate::engine::lanes::{InForce, plan};
use crate::engine::messages::{LaneCommand, Routing, Then};
use crate::env::Clock;
use crate::model::{SubId, Subscription, delivery_id};
use crate::routing::CompiledFilter;
use crate::store::{DeliveryKey, ExceptionRow, ExceptionStatus, Record};

impl World {
    /// The lanes that take events of this type now, as bits.
    pub fn takers(lanes: &[Lane], event_type: &str) -> u8 {
        let takes = |lane: &Lane| lane.configured && event_type.starts_with(lane.takes);
        lanes.iter().enumerate().filter(|(_, lane)| takes(lane)).fold(0, |bits, (index, _)| bits | 1 << index)
    }

    pub fn tick(&mut self) -> Result<bool, String> {
        let lanes = std::mem::take(&mut self.lanes);
        let ticked =
            self.guarded(|machine, ground| machine.tick(ground, &|event| World::takers(&lanes, &event.event_type)));
        self.lanes = lanes;
        Ok(ticked?.unwrap_or(false))
    }

    pub fn commit(&mut self, count: usize) -> Result<bool, String> {
        let Some(machine) = &self.machine else { return Ok(false) };
        self.judge.about_to_take = machine.about_to_take(count);
        let committed = self.guarded(|machine, ground| machine.commit(count, ground))?;
        if committed.is_some() {
            self.judge.took_all()?;
        }
        Ok(committed.unwrap_or(false))
    }

    pub fn schedule(&mut self, count: usize, random: &mut fastrand::Rng) -> Result<bool, String> {
        let happened = self.guarded(|machine, ground| Ok(machine.schedule(count, random, ground)))?;
        happened.unwrap_or(Ok(false))
    }

    pub fn work(&mut self, random: &mut fastrand::Rng) -> Result<bool, String> {
        self.ground.receivers.draw_from(random.fork());
        let worked = self.guarded(|machine, ground| Ok(machine.work(random, ground).is_some()))?;
        Ok(worked.unwrap_or(false))
    }

    pub fn put_away(&mut self) -> Result<bool, String> {
        Ok(self.guarded(Machine::put_away)?.unwrap_or(false))
    }

    pub fn prune(&mut self) -> Result<(), String> {
        let removed = self.guarded(|machine, ground| {
            let before = crate::model::Timestamp(0);
            Ok(machine.state.prune_history(ground.setting.history_bytes, before)?)
        })?;
        if removed.is_some_and(|files| files > 0) {
            self.judge.reach("history pruned");
        }
        let before = self.ground.clock.now().minus(std::time::Duration::from_secs(3600));
        self.guarded(|machine, ground| machine.forget(before, ground)).map(drop)
    }

    /// A clean stop: what is on its way ends, everything becomes durable.
    pub fn stop(&mut self) -> Result<(), String> {
        self.guarded(|machine, _| {
            machine.scheduler.drain();
            Ok(())
        })?;
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            while self.commit(usize::MAX)? && self.machine.is_some() {}
            self.schedule(usize::MAX, &mut random)?;
            while self.machine.is_some() && self.work(&mut random)? {
                self.look()?;
            }
            let Self { machine: Some(machine), ground, .. } = self else { return Ok(()) };
            if let Some(at) = machine.next_report() {
                ground.clock.advance(at.saturating_sub(ground.clock.monotonic()));
            }
            while machine.report(&mut random, ground) {}
            if !machine.flush() && machine.is_at_rest() {
                break;
            }
        }
        self.guarded(|machine, _| Ok(machine.state.checkpoint()?))?;
        self.machine = None;
        self.judge.reach("stopped cleanly");
        Ok(())
    }

    fn sub_of(&self, lane: usize) -> Option<SubId> {
        let machine = self.machine.as_ref()?;
        let subscription = &self.lanes[lane].subscription;
        machine.state.reader().ledger().find(subscription.tenant(), &subscription.name)
    }

    pub fn pause(&mut self, random: &mut fastrand::Rng) -> Result<(), String> {
        let Some(sub) = self.sub_of(random.usize(..self.lanes.len())) else { return Ok(()) };
        let at = self.ground.clock.now();
        let ignored = self.ground.mistake == Some(Mistake::PauseIgnored);
        if let Some(machine) = &mut self.machine {
            let reason = "paused by an operator".to_owned();
            let record = Record::Paused { sub, reason: reason.clone(), at };
            let command = LaneCommand::Pause { sub, reason };
            machine.push(vec![record], if ignored { Then::Nothing } else { Then::Lanes(vec![command]) });
        }
        Ok(())
    }

    pub fn resume(&mut self, random: &mut fastrand::Rng) -> Result<(), String> {
        self.resume_lane(random.usize(..self.lanes.len()));
        Ok(())
    }

    pub fn is_paused(&self, lane: usize) -> bool {
        let (Some(sub), Some(machine)) = (self.sub_of(lane), &self.machine) else { return false };
        machine.state.reader().ledger().lanes.get(&sub).is_some_and(|lane| lane.paused.is_some())
    }

    pub fn resume_lane(&mut self, lane: usize) {
        let Some(sub) = self.sub_of(lane) else { return };
        let at = self.ground.clock.now();
        if let Some(machine) = &mut self.machine {
            machine.push(vec![Record::Resumed { sub, at }], Then::Lanes(vec![LaneCommand::Resume(sub)]));
        }
    }

    /// A subscription leaves the configuration, or comes back, or wants another order.
    pub fn reload(&mut self, random: &mut fastrand::Rng) -> Result<(), String> {
        let lane = random.usize(..self.lanes.len());
        if is_ordered(lane, self.ground.setting, self.ground.mistake) && self.machine.is_some() && random.bool() {
            return self.reorder(lane, random);
        }
        let configured = self.lanes[lane].configured;
        if configured && self.lanes.iter().filter(|lane| lane.configured).count() < 3 {
            return Ok(());
        }
        self.lanes[lane].configured = !configured;
        self.judge.reach("reloaded");
        self.put_in_force()
    }

    fn reorder(&mut self, lane: usize, random: &mut fastrand::Rng) -> Result<(), String> {
        let (by, supersede) = [("key", false), ("key", true), ("/data/n", false)][random.usize(..3)];
        let before = self.lanes[lane].subscription.clone();
        let wanted = Subscription { order_by: Some(by.to_owned()), supersede, ..(*before).clone() };
        self.lanes[lane].subscription = Arc::new(wanted);
        self.judge.reach("order changed");
        self.put_in_force()?;
        if before.order_by.as_deref() != Some(by) {
            // What was taken in before may go as it would have gone.
            let next_seq = self.machine.as_ref().map(|machine| machine.state.reader().ledger().next_seq);
            self.judge.reordered(lane, next_seq.filter(|_| by == "key"));
        }
        Ok(())
    }

    /// Routes by the configuration from the next event on, once everything before is durable.
    pub fn put_in_force(&mut self) -> Result<(), String> {
        self.commit(usize::MAX)?;
        let wanted: Vec<_> = self
            .lanes
            .iter()
            .filter(|lane| lane.configured)
            .map(|lane| (lane.subscription.clone(), lane.target.clone()))
            .collect();
        self.guarded(|machine, ground| {
            machine.leave_segments();
            let ledger = machine.state.reader().ledger().clone();
            let now = machine.ages_now(ground);
            let past = |filter: &CompiledFilter, from| count_past(&ledger, &machine.log, filter, from, &|| ());
            let plan = plan(
                &ledger,
                &wanted,
                InForce { lanes: &machine.running, routing: &Routing::default() },
                now,
                &past,
                &|sub| machine.state.reader().view.ordered(sub),
            )
            .map_err(Doubt::bug)?;
            machine.running.extend(plan.routing.subscriptions.keys().copied().collect::<HashSet<_>>());
            machine.routing = plan.routing;
            machine.push(plan.records, Then::Lanes(plan.lanes));
            Ok(())
        })?;
        Ok(())
    }

    /// Somebody wants a failed or unknown delivery made again.
    pub fn replay(&mut self, random: &mut fastrand::Rng) -> Result<(), String> {
        let lane = random.usize(..self.lanes.len());
        let Some(sub) = self.sub_of(lane) else { return Ok(()) };
        let subscription = self.lanes[lane].subscription.clone();
        let number = self.judge.replays.values().sum::<u32>() + 1;
        let Self { machine: Some(machine), ground, .. } = self else { return Ok(()) };
        let now = machine.now(ground);
        let rows: Vec<(DeliveryKey, ExceptionRow)> = machine.state.reader().view.exceptions(sub).flatten().collect();
        let ended: Vec<_> = rows.into_iter().filter(|(_, row)| row.status != ExceptionStatus::Parked).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let (key, row) = ended[random.usize(..ended.len())].clone();
        let was = row.status;
        let pending =
            |row: ExceptionRow| ExceptionRow { status: ExceptionStatus::Parked, due: now, updated: now, ..row };
        if super::machine::at_most_once(&subscription) {
            let key = DeliveryKey { replay: number, ..key };
            if !machine.scheduler.reserve(key) {
                return Ok(());
            }
            let id = delivery_id(row.facts.position, subscription.tenant(), &subscription.name, number);
            let event = row.facts.event_id.clone();
            let replay_of = Some(row.facts.delivery);
            let mut again = pending(ExceptionRow { attempts: 0, base: 0, last: None, replay_of, ..row });
            again.facts.delivery = id.0.into_bytes();
            again.facts.order = None;
            machine.push(vec![Record::Replayed { key, row: again, at: now }], Then::Nothing);
            *self.judge.replays.entry((lane, event.to_string())).or_default() += 1;
        } else if machine.scheduler.reserve(key) {
            let mut again = pending(ExceptionRow { base: row.attempts, ..row });
            again.facts.order = None;
            self.judge.asked.insert(u128::from_be_bytes(again.facts.delivery));
            machine.push(vec![Record::Retriggered { key, row: again, was, at: now }], Then::Nothing);
        }
        Ok(())
    }
}
