//! What happens in one run: a list of steps drawn from a seed. Each seed has its own mix (swarm testing: many a seed never
//! meets a certain kind of trouble, and so gets far in others).

use std::time::Duration;

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The engine's threads run on for a while, in any order.
    Run,
    // One turn of one of them.
    Tick,
    Commit,
    Schedule,
    Flush,
    Work,
    Report,
    Read,
    Retire,
    Idle,
    Prune,
    // The world around it.
    Produce,
    Advance,
    SetWall,
    Mood,
    // People.
    Pause,
    Resume,
    Reload,
    Replay,
    // Trouble.
    Kill,
    DieIn,
    DieSending,
    PowerCut,
    Stop,
    Fault,
    DiskFull,
    BreakView,
    LoseState,
}

/// Steps with their usual weight, and whether a seed may leave them out.
const WEIGHTS: [(Kind, u32, bool); 28] = [
    (Kind::Run, 40, false),
    (Kind::Tick, 5, false),
    (Kind::Commit, 5, false),
    (Kind::Schedule, 5, false),
    (Kind::Flush, 4, false),
    (Kind::Work, 5, false),
    (Kind::Report, 4, false),
    (Kind::Read, 3, false),
    (Kind::Retire, 3, false),
    (Kind::Idle, 1, true),
    (Kind::Prune, 1, true),
    (Kind::Produce, 12, false),
    (Kind::Advance, 14, false),
    (Kind::SetWall, 1, true),
    (Kind::Mood, 4, true),
    (Kind::Pause, 1, true),
    (Kind::Resume, 1, true),
    (Kind::Reload, 1, true),
    (Kind::Replay, 2, true),
    (Kind::Kill, 1, true),
    (Kind::DieIn, 2, true),
    (Kind::DieSending, 1, true),
    (Kind::PowerCut, 2, true),
    (Kind::Stop, 1, true),
    (Kind::Fault, 2, true),
    (Kind::DiskFull, 1, true),
    (Kind::BreakView, 1, true),
    (Kind::LoseState, 1, true),
];

/// The turns of the engine's threads.
pub const TURNS: [Kind; 8] =
    [Kind::Tick, Kind::Commit, Kind::Schedule, Kind::Flush, Kind::Work, Kind::Report, Kind::Read, Kind::Retire];

/// One step: its kind, and the seed of whatever is drawn within it. Steps can be left out of a script without changing the
/// others, which is what makes shrinking work.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub kind: Kind,
    pub seed: u64,
}

/// The fixed part of a run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub seed: u64,
    pub workers: usize,
    pub max_in_flight: u32,
    pub retention_age: Duration,
    pub retention_size: u64,
    pub ledger_records: u64,
    pub checkpoint_records: u64,
    pub journal_file_bytes: u64,
    pub history_bytes: u64,
    /// Lines written at a time.
    pub burst: u32,
    /// Whether two of the lanes keep the order per key.
    pub ordered: bool,
    /// Whether they send only the newest of what waits.
    pub supersede: bool,
}

/// Draws a run of about `length` steps.
pub fn draw(seed: u64, length: usize) -> (Setting, Vec<Step>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let choose = |random: &mut fastrand::Rng, of: &[u64]| of[random.usize(..of.len())];
    let setting = Setting {
        seed,
        workers: usize::try_from(choose(&mut random, &[1, 2, 4, 16])).expect("small"),
        max_in_flight: u32::try_from(choose(&mut random, &[1, 2, 16])).expect("small"),
        retention_age: Duration::from_secs(choose(&mut random, &[0, 5, 600, 86_400])),
        retention_size: choose(&mut random, &[0, 500, 1 << 30]),
        ledger_records: choose(&mut random, &[3, 20, 20_000]),
        checkpoint_records: choose(&mut random, &[10, 60, 400_000]),
        journal_file_bytes: choose(&mut random, &[400, 4000, 16 << 20]),
        history_bytes: choose(&mut random, &[0, 2000, 1 << 30]),
        burst: u32::try_from(choose(&mut random, &[1, 3, 3, 12, 70])).expect("small"),
        ordered: !seed.is_multiple_of(3),
        supersede: seed % 3 == 2,
    };
    let weights: Vec<(Kind, u32)> = WEIGHTS
        .into_iter()
        .map(|(kind, weight, optional)| {
            let weight = weight * random.u32(1..=4);
            (kind, if optional && random.u8(..) < 150 { 0 } else { weight })
        })
        .collect();
    let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
    let count = random.usize(length / 2..=length * 3 / 2);
    let mut step = || {
        let mut at = random.u32(..total);
        let kind = weights.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        Step { kind: kind.expect("the weights add up to the total").0, seed: random.u64(..) }
    };
    let steps = (0..count).map(|_| step()).collect();
    (setting, steps)
}
