//! What is done now and then: segments are put away, what is kept for nobody ends. Others have their turns in between.

use crossbeam_channel::{Receiver, bounded};

use super::machine::{Ground, Machine, Waiting};
use super::mistakes::Mistake;
use crate::dispatch::Scheduler;
use crate::engine::doubt::Doubt;
use crate::engine::messages::{Entry, LaneCommand, Then, ToScheduler};
use crate::engine::putaway::retain;
use crate::engine::schedule::at_home;
use crate::engine::withdraw::{forget, overdue, withdraw};
use crate::env::Clock;
use crate::model::{Seq, SubId, Timestamp};
use crate::store::{DeliveryKey, Record};

/// Told when the committer has come as far as this.
pub type Barrier = Receiver<Result<(), String>>;

/// How far putting segments away has come: the committer is asked to catch up twice, the scheduler what is on its way.
pub enum Putaway {
    Rest,
    First(Barrier),
    Asked(Receiver<Vec<SubId>>, Seq),
    Second(Barrier, Seq, Vec<SubId>),
}

impl Machine {
    fn barrier(&mut self) -> Barrier {
        self.push_and_tell(Vec::new())
    }

    fn push_and_tell(&mut self, records: Vec<Record>) -> Barrier {
        let (reached, wait) = bounded(1);
        let entry = Entry { reply: Some(reached), ..Entry::new(records, Then::Nothing) };
        self.entries.push_back(Waiting { entry, taken: Vec::new() });
        wait
    }

    /// The intake does something else first: putting segments away begins anew.
    pub fn leave_segments(&mut self) {
        self.putaway = Putaway::Rest;
    }

    /// The intake puts segments away, as far as the committer has come. Returns whether that moved on.
    pub fn put_away(&mut self, ground: &Ground) -> Result<bool, Doubt> {
        let reached = |wait: &Barrier| wait.try_recv().is_ok();
        match std::mem::replace(&mut self.putaway, Putaway::Rest) {
            Putaway::Rest => self.putaway = Putaway::First(self.barrier()),
            Putaway::First(wait) if reached(&wait) => {
                let mut settled_below = self.state.reader().ledger().settled_below();
                if ground.mistake == Some(Mistake::PurgedBeforeSettled) {
                    settled_below = self.state.reader().ledger().next_seq;
                }
                let now = self.ages_now(ground);
                let subs = overdue(&self.state.reader(), ground.setting.retention_age, now);
                let (answer, wait) = bounded(1);
                let question = move |scheduler: &mut Scheduler<_>| {
                    let _ = answer.send(at_home(scheduler, subs));
                };
                let _ = self.outlets.scheduler.send(ToScheduler::Ask(Box::new(question)));
                self.putaway = Putaway::Asked(wait, settled_below);
            }
            Putaway::Asked(answer, settled_below) => match answer.try_recv() {
                Ok(subs) => self.putaway = Putaway::Second(self.barrier(), settled_below, subs),
                Err(_) => {
                    self.putaway = Putaway::Asked(answer, settled_below);
                    return Ok(false);
                }
            },
            Putaway::Second(wait, settled_below, subs) if reached(&wait) => {
                let now = self.ages_now(ground);
                self.ingest.retire(settled_below, now)?;
                let mut records = retain(&mut self.ingest, &self.state.reader(), settled_below, now)?;
                let (cancelled, gone) = withdraw(&self.state.reader(), subs, now)?;
                self.ending.extend_from_slice(&cancelled);
                records.extend(cancelled);
                if !records.is_empty() {
                    self.running.retain(|sub| !gone.contains(sub));
                    self.push(records, Then::Lanes(gone.into_iter().map(LaneCommand::Forget).collect()));
                }
            }
            unready => {
                self.putaway = unready;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Rows that have stood still since before `before` are forgotten, once those of the last round are.
    pub fn forget(&mut self, before: Timestamp, ground: &Ground) -> Result<(), Doubt> {
        if self.forgetting.as_ref().is_some_and(|wait| wait.try_recv().is_err()) {
            return Ok(());
        }
        let scheduler = std::cell::RefCell::new(&mut self.scheduler);
        let reserve = |key: DeliveryKey| {
            let mut scheduler = scheduler.borrow_mut();
            scheduler.reserve(key) || !scheduler.has(key.sub)
        };
        let (records, unchanged) = forget(&self.state.reader(), before, ground.clock.now(), reserve)?;
        unchanged.into_iter().for_each(|key| self.scheduler.release(key));
        self.ending.extend_from_slice(&records);
        self.forgetting = Some(self.push_and_tell(records));
        Ok(())
    }
}
