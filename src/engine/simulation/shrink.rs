//! Making a failing run small: steps are left out as long as it still fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::mistakes::Mistake;
use super::script::{Setting, Step, draw};
use super::world::World;

/// Runs spent on making one failure small.
const RUNS_MAX: usize = 300;

/// What became of a run.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub steps: usize,
    pub violation: Option<String>,
    pub reached: std::collections::BTreeMap<&'static str, u64>,
}

/// Runs a script to its end.
pub fn run(setting: Setting, steps: &[Step], mistake: Option<Mistake>) -> Outcome {
    let mut world = World::new(setting, mistake);
    let mut taken = 0;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        for step in steps {
            taken += 1;
            world.step(*step).map_err(|reason| format!("after step {taken} ({:?}): {reason}", step.kind))?;
        }
        world.heal()
    }));
    let violation = match ended {
        Ok(result) => result.err(),
        Err(_) => Some("the simulation itself panicked".to_owned()),
    };
    let violation = violation.map(|violation| format!("{violation}\n    the spool: {:?}", world.names()));
    Outcome { steps: world.turns, violation, reached: std::mem::take(&mut world.judge.reached) }
}

/// The runs of one seed.
pub fn run_seed(seed: u64, length: usize, mistake: Option<Mistake>) -> Outcome {
    let (setting, steps) = draw(seed, length);
    run(setting, &steps, mistake)
}

/// Leaves out what is not needed for the failure: halves, quarters, ... single steps. Returns what is left.
pub fn shrink(setting: Setting, steps: &[Step], mistake: Option<Mistake>) -> (Vec<Step>, String) {
    let mut left = steps.to_vec();
    let mut reason = String::new();
    let mut size = left.len().div_ceil(2);
    let mut runs = 0;
    while size > 0 {
        let mut at = 0;
        while at < left.len() && runs < RUNS_MAX {
            runs += 1;
            let mut fewer = left.clone();
            fewer.drain(at..(at + size).min(left.len()));
            match run(setting, &fewer, mistake).violation {
                Some(violation) => (left, reason) = (fewer, violation),
                None => at += size,
            }
        }
        size /= 2;
    }
    (left, reason)
}
