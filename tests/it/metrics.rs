//! `/metrics` as Prometheus sees it: while events flow, and as its own tool judges it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use spoolhook::metrics::problems;

use super::support::{HEAD, Scenario, Sink, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// The body of an answer of the socket.
pub fn get(socket: impl AsRef<Path>, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: spoolhook\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200"), "{head}");
    body.to_owned()
}

/// The value of a series.
pub fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Prometheus' own lint. Without the tool it is said, and skipped.
pub fn promtool(command: &str, input: &str) {
    let tool = std::env::var("SPOOLHOOK_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let (subject, stdin) = match command {
        "rules" => ("rules", "/dev/stdin"),
        _ => ("metrics", ""),
    };
    let mut check = Command::new(tool);
    check.args(["check", subject]).args((!stdin.is_empty()).then_some(stdin));
    let spawned = check.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        assert!(std::env::var_os("SPOOLHOOK_REQUIRE_PEERS").is_none(), "promtool is not installed");
        println!("skipped: promtool is not installed (package prometheus)");
        return;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool check {subject} ends with {:?}:\n{said}", output.status.code());
}

/// A dialect whose delivery id the sink can read.
const DIALECT: &str = r#"
[network]
allow = ["127.0.0.0/8"]
[dialect.plain]
body = '{"event":{{id}}}'
headers = { X-Delivery-Id = "{{delivery_id}}" }
"#;

fn subscription(name: &str, tenant: &str, url: &str) -> String {
    format!(
        "[[subscription]]\nname = \"{name}\"\ntenant = \"{tenant}\"\nurl = \"{url}/{name}\"\ndialect = \"plain\"\n\
         events = [\"**\"]\nretry = [\"50ms\"]\n"
    )
}

#[test]
fn the_page_is_clean_under_load_and_counts_what_happened() {
    let sink = Sink::start(|path, _, times| if path == "/moody" && times == 1 { 503 } else { 200 });
    let url = format!("http://{}", sink.addr());
    let [erp, moody, quiet] = [("erp", "default"), ("moody", "default"), ("quiet", "acme")]
        .map(|(name, tenant)| subscription(name, tenant, &url));
    let scenario = Scenario::new(&format!("{HEAD}{DIALECT}{erp}{moody}{quiet}"));
    let socket = scenario.path("state/spoolhook.sock");
    let mut engine = scenario.engine();
    engine.ready();

    let mut before = String::new();
    let erp_ok = r#"spoolhook_delivery_attempts_total{tenant="default",subscription="erp",outcome="success"}"#;
    let is_there = wait_until(PATIENCE, || {
        before = get(&socket, "/metrics");
        before.contains("{state=\"running\"} 1") && value(&before, erp_ok).is_some()
    });
    assert!(is_there, "every series is there from the start:\n{before}");
    let zeros = [
        erp_ok,
        "spoolhook_events_accepted_total{source=\"spool\"}",
        "spoolhook_events_accepted_total{source=\"log\"}",
        "spoolhook_events_accepted_total{source=\"api\"}",
        "spoolhook_spool_rejected_lines_total{reason=\"torn_tail\"}",
        "spoolhook_replays_running",
        "spoolhook_replay_deliveries_total{outcome=\"success\"}",
        "spoolhook_endpoint_certificate_not_after_timestamp_seconds{tenant=\"acme\",subscription=\"quiet\"}",
        "spoolhook_state_errors_total{op=\"committer\"}",
        "spoolhook_state_errors_total{op=\"start\"}",
    ];
    for series in zeros {
        assert_eq!(value(&before, series), Some(0.0), "{series}\n{before}");
    }
    const EVENTS: usize = 2000;
    let lines: String = (0..EVENTS).map(|n| format!("{{\"type\":\"a.b\",\"id\":\"e{n}\",\"data\":{n}}}\n")).collect();
    std::fs::create_dir_all(scenario.path("spool/in")).unwrap();
    std::fs::write(scenario.path("spool/in/load.ndjson"), lines + "no event\n").unwrap();
    // While it is at it, too.
    let during = get(&socket, "/metrics");
    assert_eq!(sink.wait_for("/moody", EVENTS, PATIENCE), EVENTS);
    let mut page = String::new();
    let moody = |labels: &str| format!("{}{{tenant=\"default\",subscription=\"moody\"{labels}}}", "spoolhook_");
    let series = |name: &str, labels: &str| moody(labels).replace("spoolhook_", &format!("spoolhook_{name}"));
    let all = EVENTS as f64;
    let expected = [
        ("delivery_attempts_total", ",outcome=\"success\"", all),
        ("delivery_attempts_total", ",outcome=\"http_5xx\"", all),
        ("deliveries_finished_total", ",outcome=\"delivered\"", all),
        ("deliveries_finished_total", ",outcome=\"failed\"", 0.0),
        ("deliveries_pending", "", 0.0),
        ("subscription_success_total", "", all),
        ("delivery_attempt_duration_seconds_count", "", 2.0 * all),
        ("delivery_end_to_end_seconds_bucket", ",le=\"+Inf\"", all),
        ("subscription_state", ",state=\"active\"", 1.0),
    ];
    let erp_success = "spoolhook_subscription_success_total{tenant=\"default\",subscription=\"erp\"}";
    let mut differs = Vec::new();
    // A page is read while the last outcomes are counted.
    let settled = wait_until(PATIENCE, || {
        page = get(&socket, "/metrics");
        let found = |name: &str, labels: &str| value(&page, &series(name, labels));
        differs = expected.iter().filter(|(name, labels, wanted)| found(name, labels) != Some(*wanted)).collect();
        differs.is_empty() && value(&page, erp_success) == Some(all)
    });
    assert!(settled, "{differs:?}\n{page}");
    assert_eq!(value(&page, "spoolhook_events_accepted_total{source=\"spool\"}"), Some(all));
    assert_eq!(value(&page, "spoolhook_spool_rejected_lines_total{reason=\"invalid_json\"}"), Some(1.0));
    for page in [&before, &during, &page] {
        assert_eq!(problems(page), Vec::<String>::new());
        promtool("metrics", page);
    }

    // A subscription that is gone takes its series along; Carbon's counters outlive the engine.
    std::fs::write(scenario.path("config.toml"), format!("{HEAD}{DIALECT}{erp}")).unwrap();
    assert_eq!(scenario.run(&["reload"]).status.code(), Some(0));
    assert!(!get(&socket, "/metrics").contains("moody"));
    engine.kill();
    let mut engine = scenario.engine();
    engine.ready();
    let page = get(&socket, "/metrics");
    assert_eq!(value(&page, erp_success), Some(all), "Carbon's counters outlive the engine");
    engine.kill();
}
