//! docs/recipes/sweep.py, as a nightly job would run it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::api::{Api, ids};
use super::undelivered::{EXACT, config, pending, sink, write};
use crate::support::{Scenario, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the sweep; its status, and the ids it handed over so far.
fn sweep(scenario: &Scenario, handler: &str) -> (Option<i32>, Vec<String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes/sweep.py");
    let output = Command::new("python3")
        .arg(script)
        .args(["--subscription", "oms", "--limit", "7", "--socket"])
        .arg(scenario.path("state/spoolhook.sock"))
        .arg("--cursor")
        .arg(scenario.path("oms.cursor"))
        .args(["--", "sh", "-c", handler])
        .current_dir(scenario.path(""))
        .output()
        .unwrap();
    let text = std::fs::read_to_string(scenario.path("handled")).unwrap_or_default();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    println!("{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), ids(&events))
}

#[test]
fn the_recipe_hands_over_exactly_what_was_missed() {
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var("SPOOLHOOK_REQUIRE_PEERS").as_deref() != Ok("1"), "python3 is missing");
        return;
    }
    let (sink, _) = sink();
    let scenario = Scenario::new(&config(&sink, "retry = \"none\""));
    let mut engine = scenario.engine();
    engine.ready();
    let api = Api::of(&scenario);
    let settled = |events| wait_until(PATIENCE, || api.all("limit=1000").0.len() == events && pending(&scenario) == 0);
    write(&scenario, 0..300);
    assert!(settled(300));
    let wanted = |range: std::ops::Range<u32>| range.step_by(10).map(|n| format!("e-{n}")).collect::<Vec<_>>();
    assert_eq!(sweep(&scenario, "false"), (Some(1), Vec::new()), "a handler that fails keeps the cursor where it is");
    assert_eq!(sweep(&scenario, "cat >> handled"), (Some(0), wanted(0..300)));
    assert_eq!(sweep(&scenario, "cat >> handled"), (Some(0), wanted(0..300)), "nothing twice");
    write(&scenario, 300..345);
    assert!(settled(345));
    assert_eq!(sweep(&scenario, "cat >> handled"), (Some(0), wanted(0..345)));
    let handled = std::fs::read_to_string(scenario.path("handled")).unwrap();
    assert!(handled.lines().all(|line| line.contains(EXACT)), "as it was written: {handled}");
    engine.kill();
    assert_eq!(sweep(&scenario, "cat >> handled").0, Some(1), "without an engine it says so");
}
