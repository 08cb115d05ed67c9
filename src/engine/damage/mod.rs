//! State that was damaged while no engine ran: whatever was done to it, the engine starts or says why not, loses no event in
//! silence, sends nothing at-most-once a second time, and does not panic.
//!
//! `SPOOLHOOK_DAMAGE_TRIALS` is the number of random trials, `SPOOLHOOK_DAMAGE_SEED` the first of their seeds.

mod outcomes;
mod past;
mod trial;
mod wreck;

use past::{Past, Stop};
use trial::{Verdict, judge};
use wreck::Wreck;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_damage_loses_nothing_in_silence_and_sends_nothing_twice() {
    let trials = from_env("SPOOLHOOK_DAMAGE_TRIALS", 60);
    let first = from_env("SPOOLHOOK_DAMAGE_SEED", 1);
    let pasts = [Stop::Killed, Stop::Clean, Stop::KilledEarly].map(Past::make);
    let mut failures = Vec::new();
    let mut tally = std::collections::BTreeMap::<Verdict, u64>::new();
    for seed in first..first + trials {
        let past = &pasts[usize::try_from(seed % 3).unwrap()];
        let mut wreck = Wreck::random(seed);
        let verdict = judge(past, |root| wreck.apply(root, past));
        match verdict {
            Ok(verdict) => *tally.entry(verdict).or_default() += 1,
            Err(fault) => failures.push(format!("seed {seed} ({:?}), {}: {fault}", past.stop, wreck.done.join(", "))),
        }
    }
    eprintln!("{trials} trials from seed {first}: {tally:?}");
    assert!(tally.len() > 1 || trials < 10, "the damage is never noticed: {tally:?}");
    assert!(failures.is_empty(), "{} of {trials} trials failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn without_damage_there_is_nothing_to_speak_of() {
    for stop in [Stop::Killed, Stop::Clean, Stop::KilledEarly] {
        assert_eq!(judge(&Past::make(stop), |_| ()), Ok(Verdict::Unnoticed), "{stop:?}");
    }
}
