//! The end of a run: all trouble is taken away, and the engine must come to rest with every line accounted for.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;

use super::machine::spool;
use super::world::World;
use crate::engine::audit;
use crate::env::{Clock, Files};
use crate::model::Outcome;

/// Rounds in which an engine without trouble must come to rest, and how many more for each line: at-most-once deliveries go
/// out one by one, four rounds each.
const ROUNDS: usize = 1000;
const ROUNDS_PER_LINE: usize = 12;
/// The longest retry is two hours away; an engine that waits for longer waits for nothing.
const PATIENCE: Duration = Duration::from_secs(3 * 86_400);

impl World {
    /// Heals the world, lets the engine come to rest and judges it.
    pub fn heal(&mut self) -> Result<(), String> {
        self.end_trouble();
        self.lanes.iter_mut().for_each(|lane| lane.configured = true);
        if self.machine.is_none() {
            self.boot(None)?;
        } else {
            self.put_in_force()?;
        }
        (0..self.lanes.len()).for_each(|lane| self.resume_lane(lane));
        self.come_to_rest()?;
        self.final_judgement()
    }

    fn come_to_rest(&mut self) -> Result<(), String> {
        let mut random = fastrand::Rng::with_seed(7);
        let began = self.ground.clock.monotonic();
        let mut quiet = 0;
        for _ in 0..ROUNDS + ROUNDS_PER_LINE * self.judge.lines.len() {
            let mut happened = self.tick()?;
            while self.commit(usize::MAX)? {
                happened = true;
            }
            happened |= self.schedule(usize::MAX, &mut random)?;
            while self.work(&mut random)? {
                happened = true;
                self.look()?;
            }
            happened |= self.guarded(|machine, _| machine.read())?.unwrap_or(false);
            let Self { machine: Some(machine), ground, .. } = self else {
                return Err("the healed engine stopped".to_owned());
            };
            while machine.report(&mut random, ground) {
                happened = true;
            }
            happened |= machine.flush();
            self.look()?;
            if happened {
                quiet = 0;
                continue;
            }
            // A receiver's 410 may have been on its way.
            (0..self.lanes.len()).filter(|lane| self.is_paused(*lane)).collect::<Vec<_>>().into_iter().for_each(
                |lane| {
                    self.resume_lane(lane);
                },
            );
            for _ in 0..4 {
                self.put_away()?;
                self.commit(usize::MAX)?;
                self.schedule(usize::MAX, &mut random)?;
            }
            if self.is_done() {
                quiet += 1;
                if quiet > 8 {
                    return Ok(());
                }
            }
            self.skip_to_next();
            if self.ground.clock.monotonic() > began + PATIENCE {
                break;
            }
        }
        Err(format!("the healed engine does not come to rest: {}", self.describe()))
    }

    fn is_done(&self) -> bool {
        let Some(machine) = &self.machine else { return false };
        let reader = machine.state.reader();
        let ledger = reader.ledger();
        let settled = ledger.lanes.values().all(|lane| lane.books.pending() == 0 && lane.claimed.is_empty());
        settled && machine.is_drained()
    }

    /// Time passes until something is due, or for half a second.
    pub fn skip_to_next(&mut self) {
        let Self { machine: Some(machine), ground, .. } = self else { return };
        let monotonic = ground.clock.monotonic();
        let now = machine.now(ground);
        let wake = machine.wake_at.map(|at| at.since(now));
        let report = machine.next_report().map(|at| at.saturating_sub(monotonic));
        let wait = [wake, report].into_iter().flatten().min().unwrap_or(Duration::from_millis(500));
        // A step at a time: the intake has timers of its own.
        let wait = if machine.is_drained() { wait } else { wait.min(Duration::from_millis(500)) };
        ground.clock.advance(wait.max(Duration::from_millis(5)));
    }

    fn describe(&self) -> String {
        let Some(machine) = &self.machine else { return "it does not run".to_owned() };
        let reader = machine.state.reader();
        let ledger = reader.ledger();
        let lanes: Vec<_> = ledger
            .lanes
            .values()
            .map(|lane| {
                let (name, waiting, parked, claimed) = (&lane.name, lane.waiting(), lane.parked, lane.claimed.len());
                format!("{name}: {waiting} wait, {parked} parked, {claimed} claimed, paused {:?}", lane.paused)
            })
            .collect();
        let (drained, at_rest, problems) = (machine.is_drained(), machine.is_at_rest(), machine.problems());
        format!("{lanes:?}; read to the end: {drained}, at rest: {at_rest}, problems {problems:?}")
    }

    fn final_judgement(&mut self) -> Result<(), String> {
        let Some(machine) = &self.machine else { return Err("it does not run".to_owned()) };
        let reader = machine.state.reader();
        let books = audit::offline(&reader, &machine.log).map_err(|error| error.to_string())?;
        if !books.differences.is_empty() {
            return Err(format!("the audit finds {:?}", books.differences));
        }
        let mut rows = vec![HashMap::new(); self.lanes.len()];
        for (lane, own) in self.lanes.iter().zip(&mut rows) {
            let sub = reader.ledger().find(lane.subscription.tenant(), &lane.subscription.name);
            for row in sub.into_iter().flat_map(|sub| reader.view.exceptions(sub)) {
                let (_, row) = row.map_err(|error| error.to_string())?;
                let gone = row.last.is_some_and(|last| last.outcome == Outcome::Http410);
                own.insert(row.facts.event_id.to_string(), (row.attempts - row.base, gone));
            }
        }
        self.judge.drops = self.ground.files.disk.had_holes();
        self.judge.at_rest(&rows, &self.quarantine())
    }

    /// Every line that was set aside.
    fn quarantine(&self) -> String {
        let (files, dir) = (&self.ground.files, spool().join("quarantine"));
        let mut text = String::new();
        for entry in files.list(&dir).unwrap_or_default() {
            let bytes = files.read(&dir.join(&entry.name)).unwrap_or_default();
            for record in bytes.split(|byte| *byte == b'\n') {
                let record: serde_json::Value = serde_json::from_slice(record).unwrap_or_default();
                let raw = record["raw_b64"].as_str().unwrap_or_default();
                let raw = base64::engine::general_purpose::STANDARD.decode(raw).unwrap_or_default();
                text.push_str(&String::from_utf8_lossy(&raw));
                text.push('\n');
            }
        }
        text
    }
}
