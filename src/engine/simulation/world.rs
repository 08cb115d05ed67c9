//! The world of one run: producers, receivers, people and trouble around one engine.

use std::any::Any;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Died, Disk, Which};
use super::faults::Fault;
use super::files::{SimClock, SimFiles};
use super::judge::{Judge, LaneRules, START};
use super::machine::{Ground, Machine, at_most_once, spool, state_dir};
use super::mistakes::Mistake;
use super::receivers::{MOODS, Mood, Receivers, SimTarget};
use super::script::{Kind, Setting, Step, TURNS};
use super::trees::SimTrees;
use crate::engine::doubt::Doubt;
use crate::env::{AppendFile, Clock, Files};
use crate::model::{Filter, Mode, RetrySchedule, Subscription};

/// A subscription, and whether the configuration has it now.
pub struct Lane {
    pub subscription: Arc<Subscription>,
    pub target: Arc<SimTarget>,
    pub configured: bool,
    /// The first segment of the types it takes; empty for every type.
    pub takes: &'static str,
}

/// The world.
pub struct World {
    pub ground: Ground,
    pub lanes: Vec<Lane>,
    pub machine: Option<Machine>,
    pub judge: Judge,
    pub producer_files: SimFiles,
    /// Producers that keep their file open, by name.
    pub writers: BTreeMap<&'static str, Box<dyn AppendFile>>,
    /// Files whose last line may be torn.
    pub torn: HashSet<&'static str>,
    pub written: u32,
    /// Steps taken, with those within others.
    pub turns: usize,
    /// Trouble that excuses an engine that stops, or does not start.
    excused: bool,
}

fn subscription(name: &str, pattern: &str, mode: Mode, waits_s: &[u64], max_in_flight: u32) -> Subscription {
    let filter = Filter { tenant: "default".into(), events: vec![pattern.into()], condition: None };
    let waits = waits_s.iter().map(|s| Duration::from_secs(*s)).collect();
    let retry = RetrySchedule { waits, jitter: 0.0 };
    Subscription { filter, mode, retry, max_in_flight, ..Subscription::new(name, &format!("http://{name}.test/")) }
}

/// The first lane and the last keep the order, one of each mode.
pub(super) fn is_ordered(lane: usize, setting: Setting, mistake: Option<Mistake>) -> bool {
    setting.ordered && lane.is_multiple_of(3) && mistake != Some(Mistake::OrderIgnored)
}

impl World {
    pub fn new(setting: Setting, mistake: Option<Mistake>) -> Self {
        let disk = Arc::new(Disk::default());
        let clock = Arc::new(SimClock::at(START));
        let lanes: Vec<Lane> = [
            ("all", "**", "", Mode::AtLeastOnce, vec![1, 30]),
            ("orders", "order.*", "order", Mode::AtLeastOnce, vec![5, 300, 7200]),
            ("once", "**", "", Mode::AtMostOnce, vec![]),
            ("bills", "bill.*", "bill", Mode::AtMostOnce, vec![]),
        ]
        .into_iter()
        .enumerate()
        .map(|(index, (name, pattern, takes, mode, waits))| Lane {
            subscription: Arc::new(Subscription {
                order_by: is_ordered(index, setting, mistake).then(|| "key".to_owned()),
                supersede: is_ordered(index, setting, mistake) && setting.supersede,
                ..subscription(name, pattern, mode, &waits, setting.max_in_flight)
            }),
            target: Arc::new(SimTarget(index)),
            configured: true,
            takes,
        })
        .collect();
        let rules = lanes
            .iter()
            .enumerate()
            .map(|(index, lane)| LaneRules {
                ordered_from: is_ordered(index, setting, None).then_some(0),
                at_most_once: at_most_once(&lane.subscription),
                waits: lane.subscription.retry.waits.clone(),
            })
            .collect();
        let receivers = Arc::new(Receivers::new(clock.clone(), lanes.len()));
        let producer_files = SimFiles { disk: disk.clone(), engine: false };
        producer_files.create_dirs(&spool().join("in"), 0o2770).expect("a new disk has room");
        producer_files.create_dirs(&spool().join("tmp"), 0o2770).expect("a new disk has room");
        let files = SimFiles { disk: disk.clone(), engine: true };
        let ground = Ground { setting, files, trees: SimTrees::new(disk.clone()), clock, receivers, mistake };
        let mut random = fastrand::Rng::with_seed(setting.seed);
        for lane in (0..lanes.len()).filter(|_| random.bool()).collect::<Vec<_>>() {
            ground.receivers.set_mood(lane, MOODS[random.usize(..MOODS.len())]);
        }
        let mut world = Self {
            ground,
            lanes,
            machine: None,
            judge: Judge::new(rules),
            producer_files,
            writers: BTreeMap::new(),
            torn: HashSet::new(),
            written: 0,
            turns: 0,
            excused: false,
        };
        world.make_mistake();
        world
    }

    fn make_mistake(&mut self) {
        let Ground { trees, receivers, .. } = &self.ground;
        match self.ground.mistake {
            Some(Mistake::SpoolNotSynced) => self.disk().omit_syncs_of(Some("/spool/claimed")),
            Some(Mistake::JournalNotSynced) => self.disk().omit_syncs_of(Some("/state/journal")),
            Some(Mistake::QuarantineNotSynced) => self.disk().omit_syncs_of(Some("/spool/quarantine")),
            Some(Mistake::CheckpointNotSynced) => self.disk().omit_syncs_of(Some("/state/checkpoint")),
            Some(Mistake::DirectoriesNotSynced) => self.disk().omit_syncs_of(Some("directories")),
            Some(Mistake::SyncErrorsIgnored) => self.disk().hide_sync_errors(),
            Some(Mistake::WritersIgnored) => self.disk().hide_writers(),
            Some(Mistake::ViewRowsLost) => trees.lose_batches(),
            Some(Mistake::ClientResends) => receivers.resend_what_breaks(),
            Some(Mistake::FailureTakenForSuccess) => receivers.lie(),
            Some(Mistake::OutcomeBeforeSend) => receivers.send_later(),
            _ => {}
        }
    }

    /// The files of the spool, for those who look for what went wrong.
    pub fn names(&self) -> Vec<String> {
        let archive = spool().join("archive");
        let mut dirs = self.disk().dirs_in(&archive, Which::Live);
        dirs.extend(["in", "claimed", "quarantine"].map(|name| spool().join(name)));
        let files = |dir: &PathBuf| self.producer_files.list(dir).unwrap_or_default();
        let named =
            dirs.iter().flat_map(|dir| files(dir).into_iter().map(|entry| (dir.join(&entry.name), entry.stat.len)));
        named.map(|(path, len)| format!("{} ({len})", path.display())).collect()
    }

    pub fn disk(&self) -> &Disk {
        &self.ground.files.disk
    }

    /// Takes one step. An error is a broken promise.
    pub fn step(&mut self, step: Step) -> Result<(), String> {
        if step.kind != Kind::Run {
            return self.turn(step);
        }
        let mut random = fastrand::Rng::with_seed(step.seed);
        for _ in 0..random.u32(4..50) {
            let kind = if random.u8(..) < 26 { Kind::Advance } else { TURNS[random.usize(..TURNS.len())] };
            self.turn(Step { kind, seed: random.u64(..) })?;
        }
        Ok(())
    }

    fn turn(&mut self, step: Step) -> Result<(), String> {
        self.turns += 1;
        let mut random = fastrand::Rng::with_seed(step.seed);
        self.disk().set_time(self.ground.clock.now().0);
        match step.kind {
            Kind::Produce => self.produce(&mut random),
            Kind::Advance => self.advance(&mut random),
            Kind::SetWall => {
                const DAY: i64 = 86_400_000;
                let by = [DAY, -DAY, 365 * DAY, -365 * DAY, 3_600_000, -3_600_000, 10 * 365 * DAY];
                self.ground.clock.step_wall(by[random.usize(..by.len())]);
                self.judge.wall_was_set = true;
            }
            Kind::Mood => {
                let lane = random.usize(..self.lanes.len());
                self.ground.receivers.set_mood(lane, MOODS[random.usize(..MOODS.len())]);
            }
            Kind::PowerCut => self.power_cut(&mut random),
            Kind::Kill => self.kill(),
            Kind::DieSending => self.ground.receivers.die_at_next(random.bool()),
            Kind::DieIn => self.die_soon(&mut random)?,
            Kind::Fault => {
                self.excused = true;
                self.disk().set_fault(Some(Fault::drawn(&mut random)));
            }
            Kind::DiskFull => self.fill_disk(&mut random),
            Kind::BreakView => {
                self.kill();
                self.ground.trees.break_open();
                self.judge.reach("view does not open");
            }
            Kind::LoseState => {
                self.kill();
                self.disk().wipe(state_dir());
                self.judge.forgot(&self.ground.files.disk);
                self.judge.reach("state lost");
            }
            _ if self.machine.is_none() => {
                if random.u8(..) < 100 {
                    self.boot(None)?;
                }
            }
            kind => self.engine_step(kind, &mut random)?,
        }
        self.look()
    }

    fn engine_step(&mut self, kind: Kind, random: &mut fastrand::Rng) -> Result<(), String> {
        match kind {
            Kind::Tick => self.tick().map(drop),
            Kind::Commit => self.commit(random.usize(1..6)).map(drop),
            Kind::Schedule => self.schedule(random.usize(1..20), random).map(drop),
            Kind::Flush => {
                self.machine.as_mut().map(Machine::flush);
                Ok(())
            }
            Kind::Work => (0..random.usize(1..5)).try_for_each(|_| self.work(random).map(drop)),
            Kind::Report => {
                let Self { machine, ground, .. } = self;
                let count = random.usize(1..5);
                machine.iter_mut().for_each(|machine| {
                    (0..count).take_while(|_| machine.report(random, ground)).for_each(drop);
                });
                Ok(())
            }
            Kind::Read => self.guarded(|machine, _| machine.read()).map(drop),
            Kind::Retire => self.put_away().map(drop),
            Kind::Idle => self.guarded(|machine, _| Ok(machine.state.store_ledger()?)).map(drop),
            Kind::Prune => self.prune(),
            Kind::Stop => self.stop(),
            Kind::Pause => self.pause(random),
            Kind::Resume => self.resume(random),
            Kind::Reload => self.reload(random),
            Kind::Replay => self.replay(random),
            _ => Ok(()),
        }
    }

    /// Does something in the engine that may end it: `None` when it did.
    pub fn guarded<R>(
        &mut self,
        act: impl FnOnce(&mut Machine, &Ground) -> Result<R, Doubt>,
    ) -> Result<Option<R>, String> {
        let Self { machine: Some(machine), ground, .. } = self else { return Ok(None) };
        let ended = catch_unwind(AssertUnwindSafe(|| act(machine, ground)));
        if let Some(machine) = &mut self.machine {
            let records =
                std::mem::take(&mut *machine.observed.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            let reader = machine.state.reader();
            let lane_of = |sub| {
                let name = reader.ledger().lanes.get(&sub).map(|lane| lane.name.clone());
                self.lanes.iter().position(|lane| Some(&lane.subscription.name) == name.as_ref())
            };
            self.judge.ending(&std::mem::take(&mut machine.ending), &lane_of);
            self.judge.recorded(&records)?;
        }
        match ended {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(Doubt { reason, .. })) => {
                self.machine = None;
                self.judge.reach("stopped in doubt");
                if self.excused { Ok(None) } else { Err(format!("the engine stopped for no reason: {reason}")) }
            }
            Err(payload) => {
                self.machine = None;
                self.judge.reach("died");
                died(&*payload).map(|()| None)
            }
        }
    }

    /// Starts the engine, which dies after `dies_in` operations.
    pub fn boot(&mut self, dies_in: Option<u32>) -> Result<(), String> {
        let disk = &self.ground.files.disk;
        disk.revive();
        disk.die_in(dies_in);
        let configured = self.lanes.iter().filter(|lane| lane.configured);
        let wanted: Vec<_> = configured.map(|lane| (lane.subscription.clone(), lane.target.clone())).collect();
        let ground = &self.ground;
        match catch_unwind(AssertUnwindSafe(|| Machine::start(ground, &wanted))) {
            Ok(Ok((machine, opened))) => {
                if opened.rebuilt.is_some() {
                    self.judge.reach("view rebuilt");
                }
                // A view that does not open beside a journal without a record: there was nothing to forget.
                if opened.forgot && !opened.fresh && !self.judge.nothing_taken() {
                    return Err(format!("the journal is damaged: {opened:?}"));
                }
                // From here on nothing excuses it, unless trouble is still to come.
                self.excused = self.disk().is_troubled();
                self.judge.reach("started");
                self.judge.started(&machine.state.reader().ledger())?;
                self.machine = Some(machine);
                Ok(())
            }
            Ok(Err(_)) if self.excused => {
                self.judge.reach("did not start in trouble");
                Ok(())
            }
            Ok(Err(reason)) => Err(format!("the engine does not start: {reason}")),
            Err(payload) => {
                self.judge.reach("died while starting");
                died(&*payload)
            }
        }
    }

    fn die_soon(&mut self, random: &mut fastrand::Rng) -> Result<(), String> {
        let count = Some(random.u32(1..40));
        if self.machine.is_none() {
            return self.boot(count);
        }
        self.disk().die_in(count);
        Ok(())
    }

    fn kill(&mut self) {
        self.machine = None;
        self.judge.reach("killed");
    }

    fn power_cut(&mut self, random: &mut fastrand::Rng) {
        self.machine = None;
        self.writers.clear();
        self.torn.extend(["app", "raw", "long"]);
        self.disk().lose_power(random);
        self.ground.trees.lose_power(random);
        self.judge.power_went();
        self.judge.reach("power cut");
    }

    fn fill_disk(&mut self, random: &mut fastrand::Rng) {
        let disk = self.disk();
        if disk.room().is_some() {
            disk.set_room(None);
        } else {
            disk.set_room(Some(random.u64(..3000)));
            self.excused = true;
            self.judge.reach("disk full");
        }
    }

    /// Time passes: to the next moment something is due, or by any amount.
    fn advance(&mut self, random: &mut fastrand::Rng) {
        if random.bool() {
            return self.skip_to_next();
        }
        let ms = [5, 30, 260, 1100, 6000, 40_000, 400_000, 8_000_000, 90_000_000];
        let most = if random.u8(..) < 200 { 6 } else { ms.len() };
        self.ground.clock.advance(Duration::from_millis(ms[random.usize(..most)]));
    }

    /// What the engine's reads, sends and commits showed since the last look.
    pub fn look(&mut self) -> Result<(), String> {
        let Self { ground, judge, machine, .. } = self;
        for transmission in ground.receivers.seen_since(judge.looked_at()) {
            judge.transmitted(&transmission, &ground.files.disk)?;
        }
        if ground.receivers.take_death() {
            judge.reach("died in a request");
            *machine = None;
        }
        match machine {
            Some(machine) => Judge::books(&machine.state.reader().ledger()),
            None => Ok(()),
        }
    }

    /// Nothing excuses a stop from now on.
    pub fn end_trouble(&mut self) {
        self.disk().set_fault(None);
        self.disk().set_room(None);
        self.disk().die_in(None);
        self.ground.receivers.calm();
        (0..self.lanes.len()).for_each(|lane| self.ground.receivers.set_mood(lane, Mood::Fine));
        self.writers.clear();
        // What a fault broke before it was taken away may still show.
        if self.excused {
            self.machine = None;
        }
        self.excused = false;
    }
}

/// The simulated death is no panic; everything else is.
fn died(payload: &(dyn Any + Send)) -> Result<(), String> {
    if payload.is::<Died>() {
        return Ok(());
    }
    let text = payload.downcast_ref::<String>().cloned();
    let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Err(format!("the engine panicked: {}", text.unwrap_or_default()))
}
