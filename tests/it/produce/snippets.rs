//! The code in docs/producers.md, run as it is printed; a few lines behind it call what it defines.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use spoolhook::receiver::{Options, Received, Receiver};

use crate::peers::process::finish;
use crate::poll::api::{Api, ids};
use crate::support::{HEAD, Scenario, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What calls `emit` with the arguments SPOOL ID NOTE.
fn produce_driver(program: &str) -> &'static str {
    match program {
        "dash" => {
            "emit \"$1\" \"{\\\"type\\\":\\\"a.b\\\",\\\"id\\\":\\\"$2\\\",\\\"data\\\":{\\\"note\\\":\\\"$3\\\"}}\"\n"
        }
        "python3" => {
            "import sys\nemit(sys.argv[1], {\"type\": \"a.b\", \"id\": sys.argv[2], \"data\": {\"note\": sys.argv[3]}}, fsync=True)\n"
        }
        "node" => {
            "const [, , spool, id, note] = process.argv;\nemit(spool, { type: \"a.b\", id, data: { note } }, true);\n"
        }
        _ => {
            "func main() {\n\tevent := map[string]any{\"type\": \"a.b\", \"id\": os.Args[2], \"data\": map[string]any{\"note\": os.Args[3]}}\n\tif err := emit(os.Args[1], event, true); err != nil {\n\t\tpanic(err)\n\t}\n}\n"
        }
    }
}

/// What calls `verify` with the arguments SECRET ID TIMESTAMP SIGNATURE FILE, and ends with 0 when it says yes, 1 when no.
fn verify_driver(program: &str, dialect: &str) -> String {
    let (python, node, go) = match dialect {
        "standard" => (
            "{'webhook-id': a[2], 'webhook-timestamp': a[3], 'webhook-signature': a[4]}",
            "{ 'webhook-id': a[3], 'webhook-timestamp': a[4], 'webhook-signature': a[5] }",
            "map[string]string{\"webhook-id\": os.Args[2], \"webhook-timestamp\": os.Args[3], \"webhook-signature\": os.Args[4]}",
        ),
        _ => (
            "{'x-webhook-signature': a[4]}",
            "{ 'x-webhook-signature': a[5] }",
            "map[string]string{\"x-webhook-signature\": os.Args[4]}",
        ),
    };
    match program {
        "dash" if dialect == "standard" => "verify \"$1\" \"$2\" \"$3\" \"$4\" \"$5\"\n".to_owned(),
        "dash" => "verify \"$1\" \"$4\" \"$5\"\n".to_owned(),
        "python3" => {
            format!("import sys\na = sys.argv\nsys.exit(0 if verify(a[1], {python}, open(a[5], 'rb').read()) else 1)\n")
        }
        "node" => format!(
            "const a = process.argv;\nprocess.exit(verify(a[2], {node}, require('node:fs').readFileSync(a[6])) ? 0 : 1);\n"
        ),
        _ => format!(
            "func main() {{\n\tbody, _ := os.ReadFile(os.Args[5])\n\tif !verify(os.Args[1], {go}, body) {{\n\t\tos.Exit(1)\n\t}}\n}}\n"
        ),
    }
}

/// The blocks under comments such as `<!-- produce python3 -->`, with the program that runs them.
fn snippets(purpose: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/producers.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mark = format!("<!-- {purpose} ");
    let found: Vec<_> = text
        .split(mark.as_str())
        .skip(1)
        .map(|part| {
            let (program, rest) = part.split_once(" -->").unwrap();
            let (_, block) = rest.split_once("```").unwrap();
            let (_, block) = block.split_once('\n').unwrap();
            (program.to_owned(), block.split_once("```").unwrap().0.to_owned())
        })
        .collect();
    assert_eq!(found.len(), 4, "{purpose}");
    found
}

/// Whether there is such a program. The gate installs all of them.
fn is_there(program: &str) -> bool {
    let probe: &[&str] = if program == "go" { &["version"] } else { &["-c", ""] };
    let probe = if program == "node" { &["-e", ""] } else { probe };
    let there = Command::new(program).args(probe).output().is_ok_and(|output| output.status.success());
    if !there {
        let required = std::env::var("SPOOLHOOK_REQUIRE_PEERS").as_deref() == Ok("1");
        assert!(!required, "{program} is missing");
        println!("skipped: {program} is not there");
    }
    there
}

/// Runs a snippet with its driver.
fn run(dir: &Path, program: &str, code: &str, args: &[&str]) -> Output {
    let suffix = match program {
        "python3" => "py",
        "node" => "js",
        "go" => "go",
        _ => "sh",
    };
    let code = match program {
        // The driver needs a package of its own.
        "go" if !code.contains("\t\"os\"\n") => code.replacen("import (\n", "import (\n\t\"os\"\n", 1),
        _ => code.to_owned(),
    };
    let script = dir.join(format!("snippet.{suffix}"));
    std::fs::write(&script, code).unwrap();
    let mut command = Command::new(program);
    if program == "go" {
        command.arg("run");
    }
    finish(command.arg(script).args(args), b"")
}

#[test]
fn the_producers_of_the_docs_are_read() {
    let scenario = Scenario::new(HEAD);
    let mut engine = scenario.engine();
    engine.ready();
    let spool = scenario.path("spool").to_string_lossy().into_owned();
    let mut wanted = Vec::new();
    let large = "é".repeat(20_000);
    for (program, code) in snippets("produce").into_iter().filter(|(program, _)| is_there(program)) {
        let code = format!("{code}\n{}", produce_driver(&program));
        for (size, note) in [("small", "a"), ("large", large.as_str())] {
            let id = format!("{program}-{size}");
            let output = run(&scenario.path(""), &program, &code, &[&spool, &id, note]);
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
            wanted.push(id);
        }
        std::fs::write(scenario.path("spool/BACKPRESSURE"), "").unwrap();
        let output = run(&scenario.path(""), &program, &code, &[&spool, "waits", "a"]);
        std::fs::remove_file(scenario.path("spool/BACKPRESSURE")).unwrap();
        assert!(!output.status.success(), "{program} heeds the sign");
    }
    wanted.sort();
    let api = Api::of(&scenario);
    let found = || {
        let (events, _) = api.all("limit=100");
        assert!(
            events
                .iter()
                .all(|event| !event["id"].as_str().unwrap().ends_with("large") || event["data"]["note"] == large)
        );
        let mut ids = ids(&events);
        ids.sort();
        ids
    };
    assert!(wait_until(PATIENCE, || found().len() >= wanted.len()), "{:?}", found());
    assert_eq!(found(), wanted);
    assert!(wanted.len() >= 2, "a shell at least is there");
}

fn delivered(dialect: &str, secret: &str) -> Received {
    let options = Options { collect: true, ..Options::default() };
    let receiver = Receiver::start(([127, 0, 0, 1], 0).into(), options).unwrap();
    let scenario = Scenario::new(&format!(
        "{HEAD}\n[[tenant]]\nid = \"default\"\nrequire_https = false\n[[subscription]]\nname = \"a\"\nurl = \"http://{}/\"\n\
         dialect = \"{dialect}\"\nevents = [\"**\"]\nsecret = \"{secret}\"\n",
        receiver.addr()
    ));
    let mut engine = scenario.engine();
    engine.ready();
    let body = r#"{"type":"invoice.paid","id":"i-1","data":{"n":1.0,"to":"Zoë"}}"#;
    Api::of(&scenario).post("/v1/events", &[], body.as_bytes()).expect(202);
    assert!(receiver.wait_for(1, PATIENCE));
    receiver.received().remove(0)
}

fn verifiers(dialect: &str, secret: &str, signature: &str) {
    let request = delivered(dialect, secret);
    let header = |name: &str| request.header(name).unwrap_or("").to_owned();
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    std::fs::write(&good, &request.body).unwrap();
    std::fs::write(&bad, [request.body.as_slice(), b" "].concat()).unwrap();
    let (id, at, signature) = (header("webhook-id"), header("webhook-timestamp"), header(signature));
    for (program, code) in snippets(&format!("verify-{dialect}")).into_iter().filter(|(program, _)| is_there(program)) {
        let code = format!("{code}\n{}", verify_driver(&program, dialect));
        let other = if dialect == "standard" { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } else { "another" };
        for (secret, file, wanted) in [(secret, &good, 0), (secret, &bad, 1), (other, &good, 1)] {
            let file = file.to_string_lossy();
            let output = run(dir.path(), &program, &code, &[secret, &id, &at, &signature, &file]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(wanted), "{program} {dialect} {file}: {said}");
        }
        if dialect == "standard" {
            let output =
                run(dir.path(), &program, &code, &[secret, &id, "1773309600", &signature, &good.to_string_lossy()]);
            assert_eq!(output.status.code(), Some(1), "{program}: an old time");
        }
    }
}

#[test]
fn the_verifiers_of_the_docs_know_a_standard_signature() {
    verifiers("standard", SECRET, "webhook-signature");
}

#[test]
fn the_verifiers_of_the_docs_know_an_umbra_signature() {
    verifiers("umbra", "a secret of the user's own: ü", "x-webhook-signature");
}
