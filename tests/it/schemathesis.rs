//! The API judged by Schemathesis: requests made up from the OpenAPI document, fitting and not, on an engine that holds
//! something of everything. No 5xx, nothing that the document does not say, nothing accepted that it forbids.
//!
//! ```text
//!   SPOOLHOOK_SCHEMATHESIS_CASES=200 cargo test --test it schemathesis -- --nocapture      cases of each operation
//!   SPOOLHOOK_SCHEMATHESIS_SEED=7 cargo test --test it schemathesis                        others than usual
//! ```

use std::process::Command;
use std::time::Duration;

use crate::door::World;
use crate::peers::process::finish_within;

/// Cases of each operation that are made up at random, beside those that go along the bounds of each schema.
const CASES: &str = "12";

/// So that the gate judges a change and not the dice; others find more.
const SEED: &str = "20261123";

const PATIENCE: Duration = Duration::from_secs(1200);

#[test]
fn nothing_that_the_document_allows_or_forbids_is_answered_otherwise() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/schemathesis.toml");
    let missing = Command::new("schemathesis").arg("--version").output().is_err();
    if missing {
        assert!(std::env::var_os("SPOOLHOOK_REQUIRE_PEERS").is_none(), "schemathesis is not installed");
        println!("skipped: schemathesis is not installed (.ci/install-peers)");
        return;
    }
    let world = World::new();
    let cases = std::env::var("SPOOLHOOK_SCHEMATHESIS_CASES").unwrap_or_else(|_| CASES.to_owned());
    let mut command = Command::new("schemathesis");
    command.current_dir(world.home.path("")).args(["--config-file", config, "run", "--no-color"]);
    command.arg(format!("http://{}/v1/openapi.json", world.address));
    command.args(["--header", &format!("Authorization: Bearer {}", world.bootstrap())]);
    // A stream has no end to wait for.
    command.args(["--exclude-path", "/v1/stream", "--checks", "all", "--max-examples", &cases]);
    command.args(["--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"]);
    let seed = std::env::var("SPOOLHOOK_SCHEMATHESIS_SEED").unwrap_or_else(|_| SEED.to_owned());
    command.args(["--seed", &seed]);
    let output = finish_within(PATIENCE, &mut command, b"");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let tried =
        said.lines().find_map(|line| line.split_once(" generated")?.0.trim().replace(',', "").parse::<u32>().ok());
    assert!(tried.is_some_and(|tried| tried >= 2_000), "{said}");
    println!("{}", said.split("SUMMARY").last().unwrap_or_default());
}
