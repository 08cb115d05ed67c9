//! Random producers, rotations, crashes and restarts against what must come of them.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Write this many more bytes.
    Write(usize),
    /// Reopen the file by its name (a claimed spool file, or a log rotated away first), between two lines.
    Reopen,
    Work(u64),
    /// Tick, lose what it handed out, start again.
    Crash,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1usize..120).prop_map(Step::Write),
        2 => Just(Step::Reopen),
        4 => (0u64..3000).prop_map(Step::Work),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..40)
}

/// Writes `LINES` through `steps` into `path`; rotation moves a log aside.
fn play(rig: &mut Rig, path: &Path, steps: &[Step], rotates: bool) {
    const LINES: usize = 30;
    let text: String = (0..LINES).map(|n| event(n) + ["\n", "\r\n", "\n\n", "\nbad\n"][n % 4]).collect();
    let mut held = appender(path);
    let mut at = 0;
    for (number, step) in steps.iter().chain([&Step::Write(text.len())]).enumerate() {
        match step {
            Step::Write(count) => {
                let end = text.len().min(at + count);
                held.write_all(&text.as_bytes()[at..end]).unwrap();
                at = end;
            }
            Step::Reopen => {
                let end = text[at..].find('\n').map_or(text.len(), |length| at + length + 1);
                held.write_all(&text.as_bytes()[at..end]).unwrap();
                at = end;
                if rotates {
                    // A log that comes and goes between two looks is never seen.
                    rig.run(Duration::from_millis(1100));
                    fs::rename(path, path.with_extension(number.to_string())).unwrap();
                }
                held = appender(path);
            }
            Step::Work(ms) => rig.run(Duration::from_millis(*ms)),
            Step::Crash => {
                let now = rig.now;
                rig.ingest().tick(now).unwrap();
                rig.restart();
            }
            Step::Restart => rig.restart(),
        }
    }
    drop(held);
    rig.run(Duration::from_secs(30));
    assert_eq!(rig.data(), numbers(0, LINES));
    assert_eq!(rig.reasons().len(), LINES / 4);
    assert_eq!(rig.problem_kinds(), []);
    assert!(rig.ingest().is_drained());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_spool_keeps_every_line_once_and_in_order(steps in steps()) {
        let mut rig = Rig::new();
        let path = rig.inbox("a.ndjson");
        play(&mut rig, &path, &steps, false);
    }

    #[test]
    fn logs_keep_every_line_once_and_in_order(steps in steps()) {
        let mut rig = Rig::with_log("*.ndjson");
        let path = rig.logs().join("a.ndjson");
        play(&mut rig, &path, &steps, true);
    }
}
